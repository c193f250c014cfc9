// Activations and their derivatives, on vectors. The same formulas as torch's, whose names they bear.
#pragma once

#include "kernels.hpp"
#include "functions.hpp"

namespace linnet {
namespace {

constexpr double kSqrt2 = 1.41421356237309504880, kInvSqrt2Pi = 0.39894228040143267794;
constexpr double kSeluAlpha = 1.67326324235437728481, kSeluScale = 1.05070098735548049342;
constexpr double kGeluA = 0.79788456080286535588, kGeluB = 0.044715;  // sqrt(2/pi)

// tanh(ln(1 + e^z)) = u / (u + 2) with u = e^z (e^z + 2); above 20 it is 1 in either precision.
template <typename T>
inline Vec<T> tanh_softplus(Vec<T> z) {
  const Vec<T> e = vexp<T>(choose<T>(z > T(20), fill(T(20)), z)), u = e * (e + T(2));
  return u / (u + T(2));
}

// The tanh of GELU's approximation. It is multiplied by z, so that where it has reached 1 it has to be 1
// to the last bit, which the rational function is only with the processor's own order of operations.
template <typename T>
inline Vec<T> gelu_tanh_of(Vec<T> z) {
  constexpr T limit = T(sizeof(T) == 4 ? 9 : 20);
  const Vec<T> u = (z + z * z * z * T(kGeluB)) * T(kGeluA), one = fill(T(1));
  return choose<T>(u > limit, one, choose<T>(u < -limit, -one, vtanh<T>(u)));
}

// a = f(z).
template <typename T, Activation kind>
inline Vec<T> apply(Vec<T> z, T p0, T p1) {
  typedef Vec<T> V;
  if constexpr (kind == Activation::relu) return choose<T>(z < T(0), V{}, z);
  else if constexpr (kind == Activation::leaky_relu) return choose<T>(z > T(0), z, z * p0);
  else if constexpr (kind == Activation::elu) return choose<T>(z > T(0), z, vexpm1_negative<T>(z) * p0);
  else if constexpr (kind == Activation::selu)
    return choose<T>(z > T(0), z, vexpm1_negative<T>(z) * T(kSeluAlpha)) * T(kSeluScale);
  else if constexpr (kind == Activation::gelu) return z * T(0.5) * (verf<T>(z * T(1 / kSqrt2)) + T(1));
  else if constexpr (kind == Activation::gelu_tanh)
    return z * T(0.5) * (gelu_tanh_of<T>(z) + T(1));
  else if constexpr (kind == Activation::silu) return z * vsigmoid<T>(z);
  else if constexpr (kind == Activation::mish) return z * tanh_softplus<T>(z);
  else if constexpr (kind == Activation::tanh) return vtanh<T>(z);
  else if constexpr (kind == Activation::sigmoid) return vsigmoid<T>(z);
  else if constexpr (kind == Activation::softplus)  // p0 is beta, p1 the threshold
    return choose<T>(z * p0 > p1, z, vlog1p<T>(vexp<T>(z * p0)) / p0);
  else if constexpr (kind == Activation::softsign) return z / (vabs<T>(z) + T(1));
  else if constexpr (kind == Activation::hardtanh)
    return choose<T>(z < p0, fill(p0), choose<T>(z > p1, fill(p1), z));
  else if constexpr (kind == Activation::sin) return vsin<T>(z);
  else if constexpr (kind == Activation::cos) return vcos<T>(z);
  else if constexpr (kind == Activation::celu)
    return choose<T>(z > T(0), z, vexpm1_negative<T>(z / p0) * p0);
  else return z;
}

// f'(z), by z or by a = f(z), whichever is cheaper.
template <typename T, Activation kind>
inline Vec<T> slope(Vec<T> z, Vec<T> a, T p0, T p1) {
  typedef Vec<T> V;
  const V one = fill(T(1));
  if constexpr (kind == Activation::relu) return choose<T>(a > T(0), one, V{});
  else if constexpr (kind == Activation::leaky_relu) return choose<T>(z > T(0), one, fill(p0));
  else if constexpr (kind == Activation::elu) return choose<T>(z > T(0), one, a + p0);
  else if constexpr (kind == Activation::selu)
    return choose<T>(z > T(0), fill(T(kSeluScale)), a + T(kSeluAlpha * kSeluScale));
  else if constexpr (kind == Activation::gelu)
    return (verf<T>(z * T(1 / kSqrt2)) + T(1)) * T(0.5) + z * vexp<T>(z * z * T(-0.5)) * T(kInvSqrt2Pi);
  else if constexpr (kind == Activation::gelu_tanh) {
    const V t = gelu_tanh_of<T>(z);
    return (t + T(1)) * T(0.5) +
           z * T(0.5) * (one - t * t) * (z * z * T(3 * kGeluB) + T(1)) * T(kGeluA);
  } else if constexpr (kind == Activation::silu) {
    const V s = vsigmoid<T>(z);
    return s * (z * (one - s) + T(1));
  } else if constexpr (kind == Activation::mish) {
    const V t = tanh_softplus<T>(z);
    return t + z * vsigmoid<T>(z) * (one - t * t);
  } else if constexpr (kind == Activation::tanh) return one - a * a;
  else if constexpr (kind == Activation::sigmoid) return a * (one - a);
  else if constexpr (kind == Activation::softplus)
    return choose<T>(z * p0 > p1, one, vsigmoid<T>(z * p0));
  else if constexpr (kind == Activation::softsign) {
    const V d = vabs<T>(z) + T(1);
    return one / (d * d);
  } else if constexpr (kind == Activation::hardtanh)
    return choose<T>((z > p0) & (z < p1), one, V{});
  else if constexpr (kind == Activation::sin) return vcos<T>(z);
  else if constexpr (kind == Activation::cos) return -vsin<T>(z);
  else if constexpr (kind == Activation::celu) return choose<T>(z > T(0), one, a / p0 + one);
  else return one;
}

#define LINNET_EACH_ACTIVATION(use)                                                          \
  use(identity) use(relu) use(leaky_relu) use(elu) use(selu) use(gelu) use(gelu_tanh)        \
  use(silu) use(mish) use(tanh) use(sigmoid) use(softplus) use(softsign) use(hardtanh)       \
  use(sin) use(cos) use(celu)

// Calls f with the place of each vector in use of a panel (H, C).
template <typename T, typename F>
inline void each_vector(Index H, Index n, F f) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  if (n > W)
    for (Index i = 0; i < H * C; i += W) f(i);
  else
    for (Index i = 0; i < H * C; i += C) f(i);
}

template <typename T>
void activate(Activation kind, T p0, T p1, const T* z, T* a, Index H, Index n) {
  switch (kind) {
#define LINNET_CASE(name)                                                                            \
  case Activation::name:                                                                             \
    return each_vector<T>(                                                                           \
        H, n, [=](Index i) { store(a + i, apply<T, Activation::name>(load(z + i), p0, p1)); });
    LINNET_EACH_ACTIVATION(LINNET_CASE)
#undef LINNET_CASE
  }
}

template <typename T>
void activate_backward(Activation kind, T p0, T p1, const T* z, const T* a, const T* g, T* out, Index H,
                       Index n, bool add) {
  switch (kind) {
#define LINNET_CASE(name)                                                                      \
  case Activation::name:                                                                       \
    return each_vector<T>(H, n, [=](Index i) {                                                 \
      const Vec<T> d = load(g + i) * slope<T, Activation::name>(load(z + i), load(a + i), p0, p1); \
      store(out + i, add ? load(out + i) + d : d);                                             \
    });
    LINNET_EACH_ACTIVATION(LINNET_CASE)
#undef LINNET_CASE
  }
}

}  // namespace
}  // namespace linnet
