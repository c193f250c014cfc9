// Losses and their gradients by the outputs; the meaning of each is that of src/linnet/losses.py.
#pragma once

#include "functions.hpp"
#include "kernels.hpp"

namespace linnet {
namespace {

// Loss and slope of one output z against its target y. p0 is beta, delta or the quantile; c the
// weight of a positive label.
template <typename T, LossKind kind>
inline void value(Vec<T> z, Vec<T> y, T p0, T c, Vec<T>& loss, Vec<T>& slope) {
  typedef Vec<T> V;
  const V one = fill(T(1)), e = z - y, size = vabs<T>(e);
  const V sign = choose<T>(e > T(0), one, choose<T>(e < T(0), -one, e * T(0)));  // NaN stays NaN
  if constexpr (kind == LossKind::squared) {
    loss = e * e;
    slope = e * T(2);
  } else if constexpr (kind == LossKind::absolute) {
    loss = size;
    slope = sign;
  } else if constexpr (kind == LossKind::smooth_l1) {
    loss = choose<T>(size < p0, e * e * (T(0.5) / p0), size - T(0.5) * p0);
    slope = choose<T>(size < p0, e / p0, sign);
  } else if constexpr (kind == LossKind::huber) {
    loss = choose<T>(size < p0, e * e * T(0.5), (size - T(0.5) * p0) * p0);
    slope = choose<T>(size < p0, e, sign * p0);
  } else if constexpr (kind == LossKind::binary) {
    // (1 - y) z + (1 + (c - 1) y) ln(1 + e^-z), where ln(1 + e^-z) = ln(1 + e^-|z|) + max(-z, 0)
    const V softplus = vlog1p<T>(vexp<T>(-vabs<T>(z))) + choose<T>(z > T(0), z * T(0), -z);
    const V weight = y * (c - T(1)) + T(1);
    loss = (one - y) * z + weight * softplus;
    slope = (one - y) - weight * (one - vsigmoid<T>(z));
  } else if constexpr (kind == LossKind::poisson) {
    const V mean = vexp<T>(z);
    loss = mean - y - y * z + choose<T>(y > T(0), y * vlog<T>(y), V{});
    slope = mean - y;
  } else {  // quantile
    loss = choose<T>(e < T(0), -e * p0, e * (T(1) - p0));
    slope = choose<T>(e < T(0), fill(-p0), choose<T>(e > T(0), fill(T(1) - p0), e + (T(0.5) - p0)));
  }
}

// scale times the weight of each of b rows, from column c on; zero where there is no row.
template <typename T>
inline Vec<T> row_factor(const T* weight, T scale, Index c, Index b) {
  return first_lanes<T>(weight ? load(weight + c) * scale : fill(scale), b - c);
}

template <typename T, LossKind kind>
void elementwise_loss(const LossSpec<T>& spec, const T* z, const T* y, const T* weight, T scale,
                      Index K, Index b, T* losses, T* g) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  for (Index c = 0; c < b; c += W) {
    const Vec<T> factor = row_factor(weight, scale, c, b);
    Vec<T> sum{};
    for (Index k = 0; k < K; ++k) {
      Vec<T> loss, slope;
      const T of_class = spec.classes ? spec.classes[k] : T(1);
      value<T, kind>(load(z + k * C + c), load(y + k * C + c), spec.p0, of_class, loss, slope);
      sum += loss;
      if (g) store(g + k * C + c, slope * factor);
    }
    store(losses + c, sum / T(K));
  }
}

// Minus the logarithm of a normal density with mean m and variance e^s (Nix and Weigend 1994, eq. 2):
// (ln 2 pi + s + (y - m)^2 / e^s) / 2.
template <typename T>
void gaussian_loss(const T* z, const T* y, const T* weight, T scale, Index K, Index b, T* losses, T* g) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  constexpr T kLog2Pi = T(1.83787706640934548356);
  for (Index c = 0; c < b; c += W) {
    const Vec<T> factor = row_factor(weight, scale, c, b);
    Vec<T> sum{};
    for (Index k = 0; k < K; ++k) {
      const Vec<T> s = load(z + (K + k) * C + c), e = load(z + k * C + c) - load(y + k * C + c);
      const Vec<T> precision = vexp<T>(-s), square = e * e * precision;
      sum += (s + square + kLog2Pi) * T(0.5);
      if (!g) continue;
      store(g + k * C + c, e * precision * factor);
      store(g + (K + k) * C + c, (T(1) - square) * T(0.5) * factor);
    }
    store(losses + c, sum / T(K));
  }
}

// Cross-entropy with weights w of the classes and label smoothing p, as torch defines it:
// -(1 - p) w[y] ln q[y] - p / K sum over k of w[k] ln q[k], where q is the softmax of z.
template <typename T>
void cross_entropy(const LossSpec<T>& spec, const T* z, const T* y, const T* weight, T scale, Index K,
                   Index b, T* losses, T* g) {
  constexpr Index W = kWidth<T>, C = kColumns<T>;
  const T* w = spec.classes;
  const T keep = T(1) - spec.p0, spread = spec.p0 / T(K);
  T all = 0;
  for (Index k = 0; k < K; ++k) all += w ? w[k] : T(1);
  for (Index c = 0; c < b; c += W) {
    const Vec<T> factor = row_factor(weight, scale, c, b), label = load(y + c);
    Vec<T> greatest = load(z + c), sum{}, own{}, own_weight{}, each{};
    for (Index k = 1; k < K; ++k) {
      const Vec<T> o = load(z + k * C + c);
      greatest = choose<T>((o > greatest) | (o != o), o, greatest);
    }
    for (Index k = 0; k < K; ++k) {
      const Vec<T> o = load(z + k * C + c) - greatest, e = vexp<T>(o);
      const T of_class = w ? w[k] : T(1);
      sum += e;
      own = choose<T>(label == T(k), o, own);
      own_weight = choose<T>(label == T(k), fill(of_class), own_weight);
      each += o * of_class;
      if (g) store(g + k * C + c, e);
    }
    const Vec<T> log_sum = vlog<T>(sum);
    Vec<T> loss = (log_sum - own) * own_weight * keep;
    if (spread != T(0)) loss += (log_sum * all - each) * spread;
    store(losses + c, loss);
    if (!g) continue;
    const Vec<T> total = own_weight * keep + all * spread;
    for (Index k = 0; k < K; ++k) {
      const Vec<T> share = load(g + k * C + c) / sum * total - (w ? w[k] : T(1)) * spread;
      store(g + k * C + c, choose<T>(label == T(k), share - own_weight * keep, share) * factor);
    }
  }
}

template <typename T>
void loss(const LossSpec<T>& spec, const T* z, const T* y, const T* weight, T scale, Index K, Index b,
          T* losses, T* g) {
  switch (spec.kind) {
#define LINNET_CASE(name)                                                                     \
  case LossKind::name:                                                                        \
    return elementwise_loss<T, LossKind::name>(spec, z, y, weight, scale, K, b, losses, g);
    LINNET_CASE(squared)
    LINNET_CASE(absolute)
    LINNET_CASE(smooth_l1)
    LINNET_CASE(huber)
    LINNET_CASE(binary)
    LINNET_CASE(poisson)
    LINNET_CASE(quantile)
#undef LINNET_CASE
    case LossKind::gaussian:
      return gaussian_loss(z, y, weight, scale, K, b, losses, g);
    case LossKind::cross_entropy:
      return cross_entropy(spec, z, y, weight, scale, K, b, losses, g);
  }
}

}  // namespace
}  // namespace linnet
