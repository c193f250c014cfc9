// Vectors of W numbers by GCC's and Clang's vector extension, and their elementary functions.
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
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
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

// e^x. Range reduction by Cody and Waite, then the Taylor polynomial on |r| <= ln(2)/2 (degree 7:
// error below one unit in the last place). NaN stays NaN; beyond the range: infinity and 0.
inline Vec<float> vexp(Vec<float> x) {
  typedef Vec<float> V;
  typedef Mask<float> M;
  const V high = fill(88.72284f), low = fill(-103.97f);
  M over = x > high, under = x < low;
  V c = choose<float>(over, high, choose<float>(under, low, x));
  const V magic = fill(12582912.f);  // 1.5 * 2^23: adding it rounds to the nearest whole number
  V n = c * 1.44269504f + magic - magic;
  V r = c - n * 0.693145752f;
  r = r - n * 1.42860677e-6f;
  V p = fill(1.f / 5040);
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  // 2^n in two halves, so that neither leaves the range of exponents.
  V safe = choose<float>(n == n, n, V{});
  M k = __builtin_convertvector(safe, M);
  M half = k >> 1;
  M rest = k - half;
  M s1 = (half + 127) << 23, s2 = (rest + 127) << 23;
  V f1, f2;
  std::memcpy(&f1, &s1, sizeof f1);
  std::memcpy(&f2, &s2, sizeof f2);
  V y = p * f1 * f2;
  y = choose<float>(over, fill(INFINITY), y);
  return choose<float>(under, V{}, y);
}

// tanh x by a rational function of degree 13/6 on |x| <= 7.90531, where float32 has reached 1
// (coefficients of Eigen's ptanh_float, MPL-2; error below 3 units in the last place).
inline Vec<float> vtanh(Vec<float> x) {
  typedef Vec<float> V;
  const V bound = fill(7.90531110763549805f);
  V c = choose<float>(x > bound, bound, choose<float>(x < -bound, -bound, x));
  V s = c * c;
  V p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * s + -8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  V q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return c * p / q;
}

// The plain forms: the C library's, lane by lane.
#define LINNET_BY_LANE(name, T, f)                          \
  inline Vec<T> name(Vec<T> x) {                            \
    for (int i = 0; i < Lanes<T>::W; ++i) x[i] = f(x[i]);   \
    return x;                                               \
  }
LINNET_BY_LANE(vexp, double, std::exp)
LINNET_BY_LANE(vtanh, double, std::tanh)
LINNET_BY_LANE(vlog1p, float, std::log1p)
LINNET_BY_LANE(vlog1p, double, std::log1p)
LINNET_BY_LANE(vlog, float, std::log)
LINNET_BY_LANE(vlog, double, std::log)
LINNET_BY_LANE(verf, float, std::erf)
LINNET_BY_LANE(verf, double, std::erf)
LINNET_BY_LANE(vsin, float, std::sin)
LINNET_BY_LANE(vsin, double, std::sin)
LINNET_BY_LANE(vcos, float, std::cos)
LINNET_BY_LANE(vcos, double, std::cos)
LINNET_BY_LANE(vexpm1, float, std::expm1)
LINNET_BY_LANE(vexpm1, double, std::expm1)
#undef LINNET_BY_LANE

template <typename T>
inline Vec<T> vabs(Vec<T> x) {
  return choose<T>(x < T(0), -x, x);
}
template <typename T>
inline Vec<T> vsqrt(Vec<T> x) {
  for (int i = 0; i < Lanes<T>::W; ++i) x[i] = std::sqrt(x[i]);  // becomes one instruction
  return x;
}
template <typename T>
inline Vec<T> vsigmoid(Vec<T> x) {
  return T(1) / (T(1) + vexp(-x));
}

}  // namespace
}  // namespace linnet
