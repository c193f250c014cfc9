// Vectors of W numbers by GCC's and Clang's vector extension.
//
// W is set by LINNET_BYTES, the width of a register of the instruction set that is compiled for.
#pragma once

#include <cmath>
#include <cstring>

#include "letters.hpp"

namespace linnet {
namespace {  // each instruction set compiles its own

template <typename T>
struct Lanes;
template <>
struct Lanes<float> {
  static constexpr int W = LINNET_BYTES / 4;
  typedef float V __attribute__((vector_size(LINNET_BYTES)));
  typedef std::int32_t M __attribute__((vector_size(LINNET_BYTES)));  // masks and whole numbers
};
template <>
struct Lanes<double> {
  static constexpr int W = LINNET_BYTES / 8;
  typedef double V __attribute__((vector_size(LINNET_BYTES)));
  typedef std::int64_t M __attribute__((vector_size(LINNET_BYTES)));
};
template <typename T>
using Vec = typename Lanes<T>::V;
template <typename T>
using Mask = typename Lanes<T>::M;
template <typename T>
constexpr int kWidth = Lanes<T>::W;
template <typename T>
constexpr int kColumns = 2 * Lanes<T>::W;  // C

template <typename T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}
// The first n numbers of a vector; the others are zero, or stay as they are.
template <typename T>
inline Vec<T> load_part(const T* p, Index n) {
  Vec<T> v{};
  std::memcpy(&v, p, n * sizeof(T));
  return v;
}
template <typename T>
inline void store_part(T* p, Vec<T> v, Index n) {
  std::memcpy(p, &v, n * sizeof(T));
}
template <typename T>
inline Vec<T> fill(T s) {
  return s - Vec<T>{};
}
// Lanes of a where the mask is set, else of b.
template <typename T>
inline Vec<T> choose(Mask<T> mask, Vec<T> a, Vec<T> b) {
  return mask ? a : b;
}
// The numbers 0, 1, ..., W - 1.
template <typename T>
inline Vec<T> lanes() {
  Vec<T> v{};
  for (int i = 0; i < kWidth<T>; ++i) v[i] = T(i);
  return v;
}
// Lanes of v before n, else zero.
template <typename T>
inline Vec<T> first_lanes(Vec<T> v, Index n) {
  return n >= kWidth<T> ? v : choose<T>(lanes<T>() < fill(T(n)), v, Vec<T>{});
}

// Lane i of the result is lane m[i] of p followed by q.
template <typename T>
inline Vec<T> shuffle(Vec<T> p, Vec<T> q, Mask<T> m) {
#if defined(__clang__)
  Vec<T> v{};
  for (int i = 0; i < kWidth<T>; ++i) v[i] = m[i] < kWidth<T> ? p[m[i]] : q[m[i] - kWidth<T>];
  return v;
#else
  return __builtin_shuffle(p, q, m);
#endif
}

// Sums of the W lanes of each of W vectors, in one vector: a tree of log2(W) levels, each of which
// adds the halves of groups of lanes. The order of the sum does not depend on the vector's place.
template <typename T, int n = kWidth<T>>
inline Vec<T> lane_sums(Vec<T>* v) {
  if constexpr (n == 1) {
    return v[0];
  } else {
    // After this level v[i] holds the sums of v[2i] and v[2i+1], in groups of n / 2 lanes.
    constexpr int half = n / 2;
    Mask<T> low{}, high{};
    for (int i = 0; i < kWidth<T>; ++i) {
      low[i] = i / half * n + i % half;
      high[i] = low[i] + half;
    }
    for (int i = 0; i < half; ++i)
      v[i] = shuffle<T>(v[2 * i], v[2 * i + 1], low) + shuffle<T>(v[2 * i], v[2 * i + 1], high);
    return lane_sums<T, half>(v);
  }
}
template <typename T>
inline T lane_sum(Vec<T> x) {
  Vec<T> v[kWidth<T>] = {x};
  return lane_sums<T>(v)[0];
}

// A W by W matrix turned in its registers: blocks of half the size change places, level by level.
template <typename T, int half = kWidth<T> / 2>
inline void turn_block(Vec<T>* v) {
  if constexpr (half > 0) {
    constexpr int W = kWidth<T>;
    Mask<T> low{}, high{};
    for (int i = 0; i < W; ++i) {
      low[i] = i & half ? W + i - half : i;
      high[i] = i & half ? W + i : i + half;
    }
    for (int i = 0; i < W; ++i) {
      if (i & half) continue;
      const Vec<T> a = v[i], b = v[i + half];
      v[i] = shuffle<T>(a, b, low);
      v[i + half] = shuffle<T>(a, b, high);
    }
    turn_block<T, half / 2>(v);
  }
}

}  // namespace
}  // namespace linnet
