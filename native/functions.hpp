// Elementary functions on vectors. NaN stays NaN, and infinities give their limits.
#pragma once

#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "vectors.hpp"

namespace linnet {
namespace {

template <typename T>
inline Vec<T> vabs(Vec<T> x) {
  return choose<T>(x < T(0), -x, x);
}
template <typename T>
inline Vec<T> vsqrt(Vec<T> x) {
  for (int i = 0; i < kWidth<T>; ++i) x[i] = std::sqrt(x[i]);  // becomes one instruction
  return x;
}
// The lesser and the greater of a and b; b where one is NaN.
template <typename T>
inline Vec<T> vmin(Vec<T> a, Vec<T> b) {
#if LINNET_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_min_ps(a, b);
  else return _mm512_min_pd(a, b);
#elif LINNET_BYTES == 32 && defined(__AVX__)
  if constexpr (sizeof(T) == 4) return _mm256_min_ps(a, b);
  else return _mm256_min_pd(a, b);
#else
  return choose<T>(a < b, a, b);
#endif
}
template <typename T>
inline Vec<T> vmax(Vec<T> a, Vec<T> b) {
#if LINNET_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_max_ps(a, b);
  else return _mm512_max_pd(a, b);
#elif LINNET_BYTES == 32 && defined(__AVX__)
  if constexpr (sizeof(T) == 4) return _mm256_max_ps(a, b);
  else return _mm256_max_pd(a, b);
#else
  return choose<T>(a > b, a, b);
#endif
}
template <typename T>
inline Vec<T> clamp(Vec<T> x, T least, T greatest) {
  return vmin<T>(fill(greatest), vmax<T>(fill(least), x));
}
template <typename To, typename From>
inline To same_bits(From from) {
  To to;
  static_assert(sizeof to == sizeof from);
  std::memcpy(&to, &from, sizeof to);
  return to;
}
// The nearest whole number, for |x| < 2^22 (float32), 2^51 (float64): in the sum with 1.5 * 2^23
// (1.5 * 2^52) the fraction falls off.
template <typename T>
inline Vec<T> round_near(Vec<T> x) {
  const Vec<T> magic = fill(T(sizeof(T) == 4 ? 12582912.0 : 6755399441055744.0));
  return x + magic - magic;
}
template <typename T>
inline Mask<T> whole(Vec<T> x) {
  return __builtin_convertvector(x, Mask<T>);
}
// 1 / k!, the coefficients of Taylor's series.
constexpr double kInverseFactorial[] = {
    1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
    1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0,
    1.0 / 87178291200.0, 1.0 / 1307674368000.0, 1.0 / 20922789888000.0, 1.0 / 355687428096000.0};

// e^x: x = n ln 2 + r with |r| <= ln(2) / 2, n ln 2 in two parts so that nothing is lost (Cody and
// Waite 1980), and Taylor's series, whose first term left out is below half a unit in the last place.
template <typename T>
inline Vec<T> vexp(Vec<T> x) {
  constexpr bool is_float = sizeof(T) == 4;
  constexpr int degree = is_float ? 7 : 13, mantissa = is_float ? 23 : 52, bias = is_float ? 127 : 1023;
  constexpr T high = T(is_float ? 88.72284 : 709.782712893384), low = T(is_float ? -103.97 : -745.2);
  const Vec<T> c = clamp<T>(x, low, high);
  const Vec<T> n = round_near<T>(c * T(1.44269504088896340736));
  Vec<T> r = c - n * T(0.693145751953125);
  r = r - n * T(1.42860682030941723212e-6);
  Vec<T> p = fill(T(kInverseFactorial[degree]));
  for (int k = degree - 1; k >= 0; --k) p = p * r + T(kInverseFactorial[k]);
  // 2^n in two halves, so that neither leaves the range of exponents.
  const Mask<T> power = whole<T>(choose<T>(n == n, n, Vec<T>{})), half = power >> 1;
  const Vec<T> y = p * same_bits<Vec<T>>((half + bias) << mantissa) *
                   same_bits<Vec<T>>((power - half + bias) << mantissa);
  return choose<T>(x > high, fill(T(INFINITY)), choose<T>(x < low, Vec<T>{}, y));
}

// tanh x. float32: a rational function of degree 13/6 on |x| <= 7.90531, where float32 has reached 1
// (coefficients of Eigen's ptanh_float). float64: Cephes' rational function below 0.625, else
// 1 - 2 / (e^2x + 1).
template <typename T>
inline Vec<T> vtanh(Vec<T> x) {
  if constexpr (sizeof(T) == 4) {
    const Vec<T> c = clamp<T>(x, -7.90531110763549805f, 7.90531110763549805f), s = c * c;
    Vec<T> p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    Vec<T> q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return c * p / q;
  } else {
    const Vec<T> s = x * x;
    Vec<T> p = s * -9.64399179425052238628e-1 + -9.92877231001918586564e1;
    p = p * s + -1.61468768441708447952e3;
    Vec<T> q = s + 1.12811678491632931402e2;
    q = q * s + 2.23548839060100448583e3;
    q = q * s + 4.84406305325125486048e3;
    const Vec<T> small = x + x * (s * (p / q)), a = vabs<T>(x);
    const Vec<T> large = T(1) - T(2) / (vexp<T>(a * T(2)) + T(1));
    return choose<T>(a < T(0.625), small, choose<T>(x < T(0), -large, choose<T>(x > T(0), large, x)));
  }
}

template <typename T>
inline Vec<T> vsigmoid(Vec<T> x) {
  return T(1) / (T(1) + vexp<T>(-x));
}
// e^x - 1 for x <= 0, by t = tanh(x / 2): 2 t / (1 - t), where nothing cancels.
template <typename T>
inline Vec<T> vexpm1_negative(Vec<T> x) {
  const Vec<T> t = vtanh<T>(x * T(0.5));
  return t * T(2) / (T(1) - t);
}

// ln x: x = 2^n m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh(s), s = (m - 1) / (m + 1).
template <typename T>
inline Vec<T> vlog(Vec<T> x) {
  constexpr bool is_float = sizeof(T) == 4;
  constexpr int mantissa = is_float ? 23 : 52, bias = is_float ? 127 : 1023, terms = is_float ? 5 : 11;
  const Mask<T> bits = same_bits<Mask<T>>(x);
  const auto one = same_bits<Mask<T>>(fill(T(1))), root = same_bits<Mask<T>>(fill(T(0.70710678118654752)));
  const Mask<T> n = (bits - root) >> mantissa;  // the exponent that leaves m at sqrt(1/2) or more
  (void)one;
  (void)bias;
  const Vec<T> m = same_bits<Vec<T>>(bits - (n << mantissa));
  const Vec<T> s = (m - T(1)) / (m + T(1)), q = s * s;
  Vec<T> p = fill(T(1.0 / (2 * terms + 1)));
  for (int k = terms - 1; k >= 1; --k) p = p * q + T(1.0 / (2 * k + 1));
  const Vec<T> e = __builtin_convertvector(n, Vec<T>), twice = s * T(2);
  const Vec<T> y = e * T(0.693145751953125) + (twice + (twice * q * p + e * T(1.42860682030941723212e-6)));
  const Vec<T> edge = choose<T>(x == T(0), fill(T(-INFINITY)), choose<T>(x > T(0), x, fill(T(NAN))));
  return choose<T>((x > T(0)) & (x < T(INFINITY)), y, edge);
}
// ln(1 + x) for x >= 0: what 1 + x has lost of x is put back (Higham 2002, section 1.14.1).
template <typename T>
inline Vec<T> vlog1p(Vec<T> x) {
  const Vec<T> u = x + T(1), d = u - T(1);
  const Vec<T> y = vlog<T>(u) * (x / choose<T>(d == T(0), fill(T(1)), d));
  return choose<T>((d == T(0)) | (u == T(INFINITY)) | (x != x), x, y);
}

// sin x and cos x: x = n pi / 2 + r with |r| <= pi / 4, n pi / 2 in three parts (fdlibm's for float64),
// and Taylor's series. Beyond some |x| the parts do not suffice: there the C library answers.
template <typename T, bool is_cosine>
inline Vec<T> vsine(Vec<T> x) {
  constexpr bool is_float = sizeof(T) == 4;
  constexpr T limit = T(is_float ? 8192 : 1e5);
  constexpr int degree = is_float ? 9 : 17;
  const Vec<T> a = choose<T>(vabs<T>(x) < limit, x, Vec<T>{});
  const Vec<T> n = round_near<T>(a * T(0.63661977236758134308));
  Vec<T> r = a - n * T(is_float ? 1.5703125 : 1.57079632673412561417e+00);
  r = r - n * T(is_float ? 4.837512969970703125e-4 : 6.07710050630396597660e-11);
  r = r - n * T(is_float ? 7.549789948768648e-8 : 2.02226624879595063154e-21);
  const Vec<T> s = r * r;
  Vec<T> sine = fill(T(kInverseFactorial[degree])), cosine = fill(T(kInverseFactorial[degree - 1]));
  for (int k = degree - 2; k >= 1; k -= 2) {
    sine = T(kInverseFactorial[k]) - sine * s;
    cosine = T(kInverseFactorial[k - 1]) - cosine * s;
  }
  sine = sine * r;
  const Mask<T> quarter = whole<T>(n) + (is_cosine ? 1 : 0);
  Vec<T> y = choose<T>((quarter & 1) != 0, cosine, sine);
  y = choose<T>((quarter & 2) != 0, -y, y);
  const Mask<T> far = ~(vabs<T>(x) < limit);  // NaN and infinity too
  bool any = false;
  for (int i = 0; i < kWidth<T>; ++i) any = any || far[i];
  if (any)
    for (int i = 0; i < kWidth<T>; ++i)
      if (far[i]) y[i] = is_cosine ? std::cos(x[i]) : std::sin(x[i]);
  return y;
}
template <typename T>
inline Vec<T> vsin(Vec<T> x) {
  return vsine<T, false>(x);
}
template <typename T>
inline Vec<T> vcos(Vec<T> x) {
  return vsine<T, true>(x);
}

// erf x: for float32 a rational function on |x| <= 4, where it has reached 1 (coefficients of Eigen's
// perf); float64 lane by lane.
template <typename T>
inline Vec<T> verf(Vec<T> x) {
  if constexpr (sizeof(T) == 4) {
    const Vec<T> c = clamp<T>(x, -4.f, 4.f), s = c * c;
    Vec<T> p = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    p = p * s + -2.10102402082508e-06f;
    p = p * s + -5.69250639462346e-05f;
    p = p * s + -7.34990630326855e-04f;
    p = p * s + -2.95459980854025e-03f;
    p = p * s + -1.60960333262415e-02f;
    Vec<T> q = s * -1.45660718464996e-05f + -2.13374055278905e-04f;
    q = q * s + -1.68282697438203e-03f;
    q = q * s + -7.37332916720468e-03f;
    q = q * s + -1.42647390514189e-02f;
    return c * p / q;
  } else {
    for (int i = 0; i < kWidth<T>; ++i) x[i] = std::erf(x[i]);
    return x;
  }
}

}  // namespace
}  // namespace linnet
