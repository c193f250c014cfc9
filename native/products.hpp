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

// The same for large matrices: x is copied into panels of kDepth rows that lie together, so that
// rows a power of two apart do not fall into the same few lines of the cache, and rows of A into
// blocks that are read in order (Goto and van de Geijn 2008, section 4).
constexpr Index kDepth = 256;

template <typename T, int R, int C>
inline void packed_block(const T* a, const T* x, T* z, Index depth, Index S, bool add,
                         const T* bias) {
  constexpr int W = Lanes<T>::W;
  Vec<T> sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      sum[r][c] = add ? load(z + r * S + c * W) : fill(bias ? bias[r] : T(0));
  for (Index k = 0; k < depth; ++k) {
    Vec<T> column[C];
    for (int c = 0; c < C; ++c) column[c] = load(x + (k * C + c) * W);
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = fill(a[k * kRows + r]);
      for (int c = 0; c < C; ++c) sum[r][c] += weight * column[c];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(z + r * S + c * W, sum[r][c]);
}

template <typename T, int C>
inline void packed_rows(const T* a, const T* x, T* z, Index rows, Index depth, Index S, bool add,
                        const T* bias) {
  if (rows >= kRows) return packed_block<T, kRows, C>(a, x, z, depth, S, add, bias);
  for (Index r = 0; r < rows; ++r)
    packed_block<T, 1, C>(a + r, x, z + r * S, depth, S, add, bias ? bias + r : nullptr);
}

template <typename T>
void packed_multiply(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index R,
                     Index K, Index S, Index c0, Index c1, bool add, T* scratch) {
  constexpr Index W = Lanes<T>::W, wide = kVecs * W;
  T* rows = scratch;                       // (kDepth, kRows)
  T* panels = scratch + kDepth * kRows;    // (columns / width, kDepth, width)
  for (Index k0 = 0; k0 < K; k0 += kDepth) {
    const Index depth = K - k0 < kDepth ? K - k0 : kDepth;
    T* to = panels;
    for (Index c = c0; c < c1;) {
      const Index width = c1 - c >= wide ? wide : W;
      for (Index k = 0; k < depth; ++k, to += width)
        std::memcpy(to, x + (k0 + k) * S + c, width * sizeof(T));
      c += width;
    }
    for (Index r = 0; r < R; r += kRows) {
      const Index n = R - r < kRows ? R - r : kRows;
      for (Index k = 0; k < depth; ++k)
        for (Index i = 0; i < n; ++i) rows[k * kRows + i] = a[(r + i) * rs + (k0 + k) * ks];
      const T* from = panels;
      for (Index c = c0; c < c1;) {
        const bool is_wide = c1 - c >= wide;
        const bool adds = add || k0 > 0;
        const T* at = bias ? bias + r : nullptr;
        if (is_wide) packed_rows<T, kVecs>(rows, from, z + r * S + c, n, depth, S, adds, at);
        else packed_rows<T, 1>(rows, from, z + r * S + c, n, depth, S, adds, at);
        const Index width = is_wide ? wide : W;
        from += depth * width;
        c += width;
      }
    }
  }
}

// Rows and depth from which copying costs less than it saves.
constexpr Index kPackFrom = 192;

template <typename T>
void multiply(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index R, Index K,
              Index S, Index c0, Index c1, bool add, T* scratch) {
  constexpr Index W = Lanes<T>::W;
  if (scratch && R >= kPackFrom && K >= kPackFrom)
    return packed_multiply(a, rs, ks, bias, x, z, R, K, S, c0, c1, add, scratch);
  Index c = c0;
  for (; c + kVecs * W <= c1; c += kVecs * W)
    panel<T, kVecs>(a, rs, ks, bias, x + c, z + c, R, K, S, add);
  for (; c < c1; c += W) panel<T, 1>(a, rs, ks, bias, x + c, z + c, R, K, S, add);
}

constexpr Index at_least(Index least, Index n) { return n < least ? least : n; }

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
  // Inputs in chunks that stay in the first-level cache while all rows of g pass by.
  const Index chunk = at_least(C, 32 * 1024 / Index(sizeof(T)) / S / C * C);
  for (Index i0 = 0; i0 < I; i0 += chunk) {
    const Index i1 = i0 + chunk < I ? i0 + chunk : I;
    const auto rows = [&](auto r_count, Index o) {
      constexpr int r = decltype(r_count)::value;
      Index i = i0;
      for (; i + C <= i1; i += C) dots<T, r, C>(g + o * S, x + i * S, dW + o * I + i, I, S, add);
      for (; i < i1; ++i) dots<T, r, 1>(g + o * S, x + i * S, dW + o * I + i, I, S, add);
    };
    Index o = o0;
    for (; o + R <= o1; o += R) rows(std::integral_constant<int, R>{}, o);
    for (; o < o1; ++o) rows(std::integral_constant<int, 1>{}, o);
  }
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
