// What is done to panels number by number, row by row and column by column: sums, products, affine
// maps, dropout's masks, and the normalisations.
#pragma once

#include "activations.hpp"

namespace linnet {
namespace {

template <typename T>
void combine(const T* a, const T* b, T p, T q, T r, T* out, Index H, Index n) {
  if (b) each_vector<T>(H, n, [=](Index i) { store(out + i, load(a + i) * p + load(b + i) * q + r); });
  else each_vector<T>(H, n, [=](Index i) { store(out + i, load(a + i) * p + r); });
}

template <typename T>
void accumulate(const T* a, T p, T* out, Index H, Index n, bool add) {
  if (add) each_vector<T>(H, n, [=](Index i) { store(out + i, load(out + i) + load(a + i) * p); });
  else each_vector<T>(H, n, [=](Index i) { store(out + i, load(a + i) * p); });
}

template <typename T>
void product(const T* a, const T* b, T* out, Index H, Index n, bool add) {
  if (add) each_vector<T>(H, n, [=](Index i) { store(out + i, load(out + i) + load(a + i) * load(b + i)); });
  else each_vector<T>(H, n, [=](Index i) { store(out + i, load(a + i) * load(b + i)); });
}

template <typename T>
void scale(const T* x, const T* w, const T* b, Index F, T* out, Index H, Index n) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index h = 0; h < H; ++h)
    for (Index c = 0; c < n; c += W)
      store(out + h * C + c, load(x + h / F * C + c) * w[h] + (b ? b[h] : T(0)));
}

template <typename T>
void scale_backward(const T* g, const T* w, Index F, T* dx, Index H, Index n, bool add) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index d = 0; d < H / F; ++d)
    for (Index c = 0; c < n; c += W) {
      Vec<T> sum = add ? load(dx + d * C + c) : Vec<T>{};
      for (Index f = d * F; f < (d + 1) * F; ++f) sum += load(g + f * C + c) * w[f];
      store(dx + d * C + c, sum);
    }
}

// Threefry-2x32 with 13 rounds (Salmon et al. 2011, 'Parallel random numbers: as easy as 1, 2, 3'):
// two random words from a key and a counter of two words each. So a number depends on its place
// alone, not on who draws it or in which order.
template <typename V>
inline void threefry(V& x0, V& x1, std::uint32_t k0, std::uint32_t k1) {
  constexpr int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  const std::uint32_t keys[3] = {k0, k1, 0x1BD11BDA ^ k0 ^ k1};
  x0 += k0;
  x1 += k1;
  for (int round = 0; round < 13; ++round) {
    x0 += x1;
    x1 = (x1 << rotations[round % 8]) | (x1 >> (32 - rotations[round % 8]));
    x1 ^= x0;
    if (round % 4 == 3) {
      const std::uint32_t s = round / 4 + 1;
      x0 += keys[s % 3];
      x1 += keys[(s + 1) % 3] + s;
    }
  }
}

// Units 2 j and 2 j + 1 of a row get the two words of counter (row, j).
template <typename T>
void mask(std::uint64_t key, double rate, Index first_row, T* out, Index H, Index n) {
  constexpr Index C = kColumns<T>;
  typedef std::uint32_t V __attribute__((vector_size(LINNET_BYTES)));
  constexpr Index W = LINNET_BYTES / 4;
  // A word below `least` leaves its unit out; at rate 1 what is kept is nothing too.
  const auto least = std::uint32_t(rate < 1 ? rate * 4294967296.0 : 0);
  const T kept = T(rate < 1 ? 1 / (1 - rate) : 0);
  const auto put = [=](T* to, V words, Index columns) {
    if constexpr (sizeof(T) == 4) {
      (void)columns;
      store(to, choose<T>(same_bits<Mask<T>>(words < least), Vec<T>{}, fill(kept)));
    } else {
      for (Index i = 0; i < columns; ++i) to[i] = words[i] < least ? T(0) : kept;
    }
  };
  for (Index h = 0; h < H; h += 2)
    for (Index c = 0; c < n; c += W) {
      V x0{}, x1{};
      for (Index i = 0; i < W; ++i) x0[i] = std::uint32_t(first_row + c + i);
      x1 += std::uint32_t(h / 2);
      threefry(x0, x1, std::uint32_t(key), std::uint32_t(key >> 32));
      const Index columns = n - c < W ? n - c : W;
      put(out + h * C + c, x0, columns);
      if (h + 1 < H) put(out + (h + 1) * C + c, x1, columns);
    }
}

// out = (x - mean) / sqrt(variance + eps) of each column (Ba, Kiros and Hinton 2016, eq. 4); not
// centred, out = x / sqrt(mean(x^2) + eps) (Zhang and Sennrich 2019, eq. 4).
template <typename T>
void normalize(const T* x, T eps, bool centred, T* out, T* inverse, Index H, Index n) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index c = 0; c < n; c += W) {
    Vec<T> mean{}, variance{};
    for (Index h = 0; centred && h < H; ++h) mean += load(x + h * C + c);
    mean = mean / T(H);
    for (Index h = 0; h < H; ++h) {
      const Vec<T> d = load(x + h * C + c) - mean;
      variance += d * d;
    }
    const Vec<T> by = T(1) / vsqrt<T>(variance / T(H) + eps);
    store(inverse + c, by);
    for (Index h = 0; h < H; ++h) store(out + h * C + c, (load(x + h * C + c) - mean) * by);
  }
}

// dx = (g - mean(g) - out mean(g out)) / sqrt(variance + eps), without mean(g) where not centred.
template <typename T>
void normalize_backward(const T* g, const T* out, const T* inverse, bool centred, T* dx, Index H, Index n,
                        bool add) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index c = 0; c < n; c += W) {
    Vec<T> mean{}, along{};
    for (Index h = 0; h < H; ++h) {
      const Vec<T> slope = load(g + h * C + c);
      mean += slope;
      along += slope * load(out + h * C + c);
    }
    mean = centred ? mean / T(H) : Vec<T>{};
    along = along / T(H);
    const Vec<T> by = load(inverse + c);
    for (Index h = 0; h < H; ++h) {
      const Vec<T> d = (load(g + h * C + c) - mean - load(out + h * C + c) * along) * by;
      store(dx + h * C + c, add ? load(dx + h * C + c) + d : d);
    }
  }
}

// The vectors of row h over a batch of B columns: f(place, lanes in use).
template <typename T, typename F>
inline void along_row(Index H, Index h, Index B, F f) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index s = 0; s < B; s += W) f(s / C * H * C + h * C + s % C, B - s < W ? B - s : W);
}

template <typename T>
void normalize_rows(const T* x, T eps, T* out, T* mean, T* variance, T* inverse, Index H, Index h0,
                    Index h1, Index B) {
  for (Index h = h0; h < h1; ++h) {
    Vec<T> sum{}, squares{};
    along_row<T>(H, h, B, [&](Index at, Index n) { sum += first_lanes<T>(load(x + at), n); });
    const T m = lane_sum<T>(sum) / T(B);
    along_row<T>(H, h, B, [&](Index at, Index n) {
      const Vec<T> d = first_lanes<T>(load(x + at) - m, n);
      squares += d * d;
    });
    mean[h] = m;
    variance[h] = lane_sum<T>(squares) / T(B);
    const T by = T(1) / std::sqrt(variance[h] + eps);
    inverse[h] = by;
    along_row<T>(H, h, B, [&](Index at, Index) { store(out + at, (load(x + at) - m) * by); });
  }
}

template <typename T>
void normalize_rows_backward(const T* g, const T* out, const T* inverse, T* dx, Index H, Index h0,
                             Index h1, Index B, bool add) {
  for (Index h = h0; h < h1; ++h) {
    Vec<T> sum{}, along{};
    along_row<T>(H, h, B, [&](Index at, Index) {  // g is zero in columns past B
      sum += load(g + at);
      along += load(g + at) * load(out + at);
    });
    const T mean = lane_sum<T>(sum) / T(B), with = lane_sum<T>(along) / T(B), by = inverse[h];
    along_row<T>(H, h, B, [&](Index at, Index n) {
      const Vec<T> d = first_lanes<T>((load(g + at) - mean - load(out + at) * with) * by, n);
      store(dx + at, add ? load(dx + at) + d : d);
    });
  }
}

}  // namespace
}  // namespace linnet
