// Matrix products on feature-major values: register blocks of R rows by C vectors.
#pragma once

#include "vectors.hpp"

namespace linnet {
namespace {

// Rows and vectors of a block: as many accumulators as leave registers for a column of x.
#if LINNET_BYTES == 64
constexpr int kRows = 6, kVecs = 4;  // 24 accumulators of 32 registers
#else
constexpr int kRows = 4, kVecs = 2;  // 8 of 16
#endif

// z (R, C vectors) = bias + sum over k of a[r, k] x[k, :], or z += ...
template <typename T, int R, int C>
inline void block(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index K, Index S,
                  bool add) {
  constexpr int W = Lanes<T>::W;
  Vec<T> sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      sum[r][c] = add ? load(z + r * S + c * W) : fill(bias ? bias[r] : T(0));
  for (Index k = 0; k < K; ++k) {
    Vec<T> column[C];
    for (int c = 0; c < C; ++c) column[c] = load(x + k * S + c * W);
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = fill(a[r * rs + k * ks]);
      for (int c = 0; c < C; ++c) sum[r][c] += weight * column[c];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(z + r * S + c * W, sum[r][c]);
}

// All rows of a panel of C vectors.
template <typename T, int C>
inline void panel(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index R, Index K,
                  Index S, bool add) {
  Index r = 0;
  auto at = [&](Index row) { return bias ? bias + row : nullptr; };
  for (; r + kRows <= R; r += kRows)
    block<T, kRows, C>(a + r * rs, rs, ks, at(r), x, z + r * S, K, S, add);
  if (kRows > 4 && r + 4 <= R) {
    block<T, 4, C>(a + r * rs, rs, ks, at(r), x, z + r * S, K, S, add);
    r += 4;
  }
  for (; r + 2 <= R; r += 2)
    block<T, 2, C>(a + r * rs, rs, ks, at(r), x, z + r * S, K, S, add);
  if (r < R) block<T, 1, C>(a + r * rs, rs, ks, at(r), x, z + r * S, K, S, add);
}

template <typename T>
void multiply(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index R, Index K,
              Index S, Index c0, Index c1, bool add) {
  constexpr Index W = Lanes<T>::W;
  Index c = c0;
  for (; c + kVecs * W <= c1; c += kVecs * W)
    panel<T, kVecs>(a, rs, ks, bias, x + c, z + c, R, K, S, add);
  for (; c < c1; c += W) panel<T, 1>(a, rs, ks, bias, x + c, z + c, R, K, S, add);
}

// Sums of the W lanes of each of W vectors, in one vector: a tree of log2(W) levels, each of which
// adds the halves of groups of lanes.
template <typename T, int n>
inline Vec<T> lane_sums(Vec<T>* v) {
  constexpr int W = Lanes<T>::W;
  if constexpr (n == 1) {
    return v[0];
  } else {
    // After this level v[i] holds the sums of v[2i] and v[2i+1], in groups of half the width.
    constexpr int group = n;  // lanes that still belong to one sum
    Mask<T> low, high;
    for (int i = 0; i < W; ++i) {
      // lane i of the result: groups of both vectors in turn, first or second half of each
      const int half = group / 2, g = i / half, in = i % half;
      low[i] = g * group + in;
      high[i] = g * group + half + in;
    }
    for (int i = 0; i < n / 2; ++i) {
      Vec<T> p = v[2 * i], q = v[2 * i + 1];
      v[i] = __builtin_shuffle(p, q, low) + __builtin_shuffle(p, q, high);
    }
    return lane_sums<T, n / 2>(v);
  }
}

// out[r * ld + c] (= or +=) the dot product over S of g[r] and x[c], for R by C rows; R * C <= W.
template <typename T, int R, int C>
inline void dots(const T* g, const T* x, T* out, Index ld, Index S, bool add) {
  constexpr int W = Lanes<T>::W;
  Vec<T> sum[W] = {};
  for (Index s = 0; s < S; s += W) {
    Vec<T> xs[C];
    for (int c = 0; c < C; ++c) xs[c] = load(x + c * S + s);
    for (int r = 0; r < R; ++r) {
      const Vec<T> gs = load(g + r * S + s);
      for (int c = 0; c < C; ++c) sum[r * C + c] += gs * xs[c];
    }
  }
  const Vec<T> total = lane_sums<T, W>(sum);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      T& o = out[r * ld + c];
      o = add ? o + total[r * C + c] : total[r * C + c];
    }
}

template <typename T>
void outer(const T* g, const T* x, T* dW, T* db, Index o0, Index o1, Index I, Index S, bool add) {
  constexpr int W = Lanes<T>::W;
  constexpr int C = W >= 16 ? 4 : 2, R = W / C;  // 4 by 4, 4 by 2, 2 by 2, or 1 by 2
  const auto rows = [&](auto r_count, Index o) {
    constexpr int r = decltype(r_count)::value;
    Index i = 0;
    for (; i + C <= I; i += C) dots<T, r, C>(g + o * S, x + i * S, dW + o * I + i, I, S, add);
    for (; i < I; ++i) dots<T, r, 1>(g + o * S, x + i * S, dW + o * I + i, I, S, add);
  };
  Index o = o0;
  for (; o + R <= o1; o += R) rows(std::integral_constant<int, R>{}, o);
  for (; o < o1; ++o) rows(std::integral_constant<int, 1>{}, o);
  if (!db) return;
  for (Index r = o0; r < o1; ++r) {
    Vec<T> sum[W] = {};
    for (Index s = 0; s < S; s += W) sum[0] += load(g + r * S + s);
    const T total = lane_sums<T, W>(sum)[0];
    db[r] = add ? db[r] + total : total;
  }
}

}  // namespace
}  // namespace linnet
