// Matrix products on panels, in blocks that stay in the registers.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "vectors.hpp"

namespace linnet {
namespace {

// Rows of a block: two vectors wide, it takes as many accumulators as leave registers for a row of x
// and a weight.
#if LINNET_BYTES == 64 || defined(__aarch64__)
constexpr int kRows = 12;  // 24 of 32 registers
#else
constexpr int kRows = 6;  // 12 of 16
#endif

template <int n>
using Count = std::integral_constant<int, n>;

// z (R, V vectors) = bias + sum over k of a[r, k] x[k, :], or z += ... An addition waits some cycles
// for the one before, so a block of few rows adds up in U chains;
// as many for one vector as for two, so that a row has the same bits alone and among others.
template <typename T, int R, int V>
inline void block(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index K, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>, U = R >= 4 ? 1 : 4 / R;
  Vec<T> sum[U][R][V] = {};
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      sum[0][r][v] = add ? load(z + r * C + v * W) : fill(bias ? bias[r] : T(0));
  const auto take = [&](Index k, int u) {
    Vec<T> row[V];
    for (int v = 0; v < V; ++v) row[v] = load(x + k * C + v * W);
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = fill(a[r * rs + k * ks]);
      for (int v = 0; v < V; ++v) sum[u][r][v] += weight * row[v];
    }
  };
  Index k = 0;
  for (; k + U <= K; k += U)
    for (int u = 0; u < U; ++u) take(k + u, u);
  if constexpr (U > 1)
    for (; k < K; ++k) take(k, 0);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      for (int u = 1; u < U; ++u) sum[0][r][v] += sum[u][r][v];
      store(z + r * C + v * W, sum[0][r][v]);
    }
}

template <typename T, int V>
inline void multiply_vectors(Weights<T> a, const T* bias, const T* x, T* z, Index R, Index K, bool add) {
  constexpr int C = kColumns<T>;
  Index r = 0;
  const auto rows = [&](auto count) {
    constexpr int n = decltype(count)::value;
    const T* at = a.packed ? a.at + r / kRows * kRows * K + r % kRows : a.at + r * a.rs;
    block<T, n, V>(at, a.packed ? 1 : a.rs, a.packed ? kRows : a.ks, bias ? bias + r : nullptr, x,
                   z + r * C, K, add);
    r += n;
  };
  while (r + kRows <= R) rows(Count<kRows>{});
  if (kRows > 8 && r + 8 <= R) rows(Count<8>{});
  if (r + 4 <= R) rows(Count<4>{});
  if (r + 2 <= R) rows(Count<2>{});
  if (r < R) rows(Count<1>{});
}

template <typename T>
void multiply(Weights<T> a, const T* bias, const T* x, T* z, Index R, Index K, Index n, bool add) {
  if (n > kWidth<T>) multiply_vectors<T, 2>(a, bias, x, z, R, K, add);
  else multiply_vectors<T, 1>(a, bias, x, z, R, K, add);
}

// Large matrices are read faster when the rows of a block lie together: rows a power of two apart
// fall into the same few lines of the cache (Goto and van de Geijn 2008, section 4).
template <typename T>
void pack(Weights<T> a, Index R, Index K, Index b0, Index b1, T* packed) {
  for (Index b = b0; b < b1; ++b) {
    const Index n = R - b * kRows < kRows ? R - b * kRows : kRows;
    T* to = packed + b * kRows * K;
    for (Index k = 0; k < K; ++k)
      for (Index r = 0; r < n; ++r) to[k * kRows + r] = a.at[(b * kRows + r) * a.rs + k * a.ks];
  }
}

// out[r * ld + i] = or += the dot product over the batch of g[r] and x[i], for R by N rows; R N <= W.
template <typename T, int R, int N>
inline void dots(const T* g, Index g_step, const T* x, Index x_step, T* out, Index ld, Index S, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>;
  Vec<T> sum[W] = {};
  for (Index s = 0; s < S; s += W) {
    const T* gs = g + s / C * g_step + s % C;
    const T* xs = x + s / C * x_step + s % C;
    Vec<T> row[N];
    for (int i = 0; i < N; ++i) row[i] = load(xs + i * C);
    for (int r = 0; r < R; ++r) {
      const Vec<T> slope = load(gs + r * C);
      for (int i = 0; i < N; ++i) sum[r * N + i] += slope * row[i];
    }
  }
  const Vec<T> total = lane_sums<T>(sum);
  for (int r = 0; r < R; ++r)
    for (int i = 0; i < N; ++i) {
      T& o = out[r * ld + i];
      o = add ? o + total[r * N + i] : total[r * N + i];
    }
}

template <typename T>
void outer(const T* g, Index O, const T* x, Index I, T* dW, Index o0, Index o1, Index S, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>, N = W >= 16 ? 4 : W >= 4 ? 2 : 1, R = W / N;
  const auto part = [&](auto rows, auto units, Index o, Index i) {
    dots<T, decltype(rows)::value, decltype(units)::value>(g + o * C, O * C, x + i * C, I * C,
                                                           dW + o * I + i, I, S, add);
  };
  Index o = o0;
  for (; o + R <= o1; o += R) {
    Index i = 0;
    for (; i + N <= I; i += N) part(Count<R>{}, Count<N>{}, o, i);
    for (; i < I; ++i) part(Count<R>{}, Count<1>{}, o, i);
  }
  for (; o < o1; ++o) {
    Index i = 0;
    for (; i + W <= I; i += W) part(Count<1>{}, Count<W>{}, o, i);
    for (; i < I; ++i) part(Count<1>{}, Count<1>{}, o, i);
  }
}

// R rows of dW by V vectors of units: sum over the batch of g[r, b] and the units of row b.
template <typename T, int R, int V>
inline void turned_block(const T* g, Index g_step, const T* turned, T* dW, Index I, Index n_units,
                         Index S, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>;
  Vec<T> sum[R][V] = {};
  for (Index b = 0; b < S; b += C, g += g_step) {
    const Index n = S - b < C ? S - b : Index(C);
    for (Index j = 0; j < n; ++j) {
      Vec<T> row[V];
      for (int v = 0; v < V; ++v) row[v] = load(turned + (b + j) * C + v * W);
      for (int r = 0; r < R; ++r) {
        const Vec<T> slope = fill(g[r * C + j]);
        for (int v = 0; v < V; ++v) sum[r][v] += slope * row[v];
      }
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      T* out = dW + r * I + v * W;
      const Index n = n_units - v * W;
      if (n >= W) store(out, add ? load(out) + sum[r][v] : sum[r][v]);
      else if (n > 0) store_part(out, add ? load_part(out, n) + sum[r][v] : sum[r][v], n);
    }
}

template <typename T>
void outer_turned(const T* g, Index O, const T* turned, Index step, Index I, T* dW, Index o0, Index o1,
                  Index S, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>;
  for (Index i = 0; i < I; i += C) {
    const Index n = I - i < C ? I - i : Index(C);
    const T* x = turned + i / C * step;
    Index o = o0;
    const auto rows = [&](auto count) {
      constexpr int R = decltype(count)::value;
      if (n > W) turned_block<T, R, 2>(g + o * C, O * C, x, dW + o * I + i, I, n, S, add);
      else turned_block<T, R, 1>(g + o * C, O * C, x, dW + o * I + i, I, n, S, add);
      o += R;
    };
    while (o + kRows <= o1) rows(Count<kRows>{});
    while (o + 4 <= o1) rows(Count<4>{});
    while (o < o1) rows(Count<1>{});
  }
}

template <typename T>
void spread(const T* g, Index O, const T* x, Index I, T* dW, bool add) {
  constexpr int W = kWidth<T>, C = kColumns<T>;
  for (Index o = 0; o < O; ++o)
    for (int c = 0; c < C; c += W) {
      const Vec<T> slope = load(g + o * C + c);
      T* out = dW + o * I * C + c;
      for (Index i = 0; i < I; ++i, out += C) {
        const Vec<T> product = slope * load(x + i * C + c);
        store(out, add ? load(out) + product : product);
      }
    }
}

template <typename T>
void turn(const T* x, Index H, Index n, T* turned, Index step) {
  constexpr int W = kWidth<T>, C = kColumns<T>;
  for (Index h = 0; h < H; h += W)
    for (Index c = 0; c < n; c += W) {
      Vec<T> v[W] = {};
      const Index rows = H - h < W ? H - h : Index(W);
      for (Index i = 0; i < rows; ++i) v[i] = load(x + (h + i) * C + c);
      turn_block<T>(v);
      T* to = turned + h / C * step + c * C + h % C;
      for (int i = 0; i < W; ++i) store(to + i * C, v[i]);
    }
}

// out[h] = or += the sum over the batch of term(h, place of the vector in its row). W rows at a time:
// their sums leave the registers as one vector.
template <typename T, typename F>
inline void sum_rows(T* out, Index h0, Index h1, Index S, bool add, F term) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index h = h0; h < h1; h += W) {
    Vec<T> sum[W] = {};
    const Index n = h1 - h < W ? h1 - h : W;
    if (n == W) {
      for (Index s = 0; s < S; s += W)
        for (Index i = 0; i < W; ++i) sum[i] += term(h + i, s / C, s % C);
    } else {
      for (Index i = 0; i < n; ++i)
        for (Index s = 0; s < S; s += W) sum[i] += term(h + i, s / C, s % C);
    }
    const Vec<T> sums = lane_sums<T>(sum);
    store_part(out + h, add ? load_part(out + h, n) + sums : sums, n);
  }
}

template <typename T>
void row_sums(const T* g, Index H, const T* x, Index F, T* dw, T* db, Index h0, Index h1, Index S,
              bool add_w, bool add_b) {
  constexpr Index C = kColumns<T>;
  const auto slope = [=](Index h, Index p, Index c) { return load(g + p * H * C + h * C + c); };
  if (db) sum_rows(db, h0, h1, S, add_b, slope);
  if (!dw) return;
  const Index x_step = H / F * C;
  sum_rows(dw, h0, h1, S, add_w, [=](Index h, Index p, Index c) {
    return slope(h, p, c) * load(x + p * x_step + h / F * C + c);
  });
}

// The first b columns of x (D, C) = rows[0..b) of X (N, D), turned to feature-major; the others repeat
// the last of them.
template <typename T>
void gather(const T* X, Index D, const std::int64_t* rows, Index b, T* x) {
  constexpr Index C = kColumns<T>, kTile = 16;
  for (Index d0 = 0; d0 < D; d0 += kTile) {
    const Index d1 = d0 + kTile < D ? d0 + kTile : D;
    for (Index i = 0; i < b; ++i) {
      const T* row = X + rows[i] * D;
      for (Index d = d0; d < d1; ++d) x[d * C + i] = row[d];
    }
  }
  for (Index d = 0; d < D; ++d)
    for (Index i = b; i < C; ++i) x[d * C + i] = x[d * C + b - 1];
}

}  // namespace
}  // namespace linnet
