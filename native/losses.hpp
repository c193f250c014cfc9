// Losses and their gradients by the outputs; the meaning of each is that of src/linnet/losses.py.
#pragma once

#include "kernels.hpp"
#include "vectors.hpp"

namespace linnet {
namespace {

// Loss and slope of one output z against its target y. p0 is beta, delta or the quantile.
template <typename T, LossKind kind>
inline void value(Vec<T> z, Vec<T> y, T p0, Vec<T>& loss, Vec<T>& slope) {
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
  } else if constexpr (kind == LossKind::binary) {  // max(z, 0) - z y + log(1 + exp(-|z|))
    loss = choose<T>(z > T(0), z, z * T(0)) - z * y + vlog1p(vexp(-vabs<T>(z)));
    slope = vsigmoid<T>(z) - y;
  } else if constexpr (kind == LossKind::poisson) {
    const V mean = vexp(z);
    loss = mean - y - y * z + choose<T>(y > T(0), y * vlog(y), V{});
    slope = mean - y;
  } else {  // quantile
    loss = choose<T>(e < T(0), -e * p0, e * (T(1) - p0));
    slope = choose<T>(e < T(0), fill(-p0), choose<T>(e > T(0), fill(T(1) - p0), e + (T(0.5) - p0)));
  }
}

template <typename T, LossKind kind>
void elementwise_loss(T p0, const T* z, const T* y, const T* weight, T scale, Index K, Index B,
                      Index S, Index c0, Index c1, T* rows, T* g) {
  for (Index c = c0; c < c1; c += Lanes<T>::W) {
    Vec<T> factor = weight ? load(weight + c) * scale : fill(scale), sum{};
    for (int i = 0; i < Lanes<T>::W; ++i)
      if (c + i >= B) factor[i] = 0;  // columns that belong to nobody
    for (Index k = 0; k < K; ++k) {
      Vec<T> loss, slope;
      value<T, kind>(load(z + k * S + c), load(y + k * S + c), p0, loss, slope);
      sum += loss;
      if (g) store(g + k * S + c, slope * factor);
    }
    store(rows + c, sum / T(K));
  }
}

// -log softmax(z)[class], by the shifted sum of exponentials.
template <typename T>
void cross_entropy(const T* z, const T* y, const T* weight, T scale, Index K, Index B, Index S,
                   Index c0, Index c1, T* rows, T* g) {
  for (Index c = c0; c < c1; c += Lanes<T>::W) {
    Vec<T> factor = weight ? load(weight + c) * scale : fill(scale);
    for (int i = 0; i < Lanes<T>::W; ++i)
      if (c + i >= B) factor[i] = 0;
    const Vec<T> label = load(y + c);
    Vec<T> greatest = load(z + c), sum{}, own{};
    for (Index k = 1; k < K; ++k) {
      const Vec<T> o = load(z + k * S + c);
      greatest = choose<T>((o > greatest) | (o != o), o, greatest);
    }
    for (Index k = 0; k < K; ++k) {
      const Vec<T> o = load(z + k * S + c) - greatest;
      const Vec<T> e = vexp(o);
      sum += e;
      own = choose<T>(label == T(k), o, own);
      if (g) store(g + k * S + c, e);
    }
    store(rows + c, vlog(sum) - own);
    if (!g) continue;
    for (Index k = 0; k < K; ++k) {
      const Vec<T> share = load(g + k * S + c) / sum;
      store(g + k * S + c, choose<T>(label == T(k), share - T(1), share) * factor);
    }
  }
}

template <typename T>
void loss(LossKind kind, T p0, const T* z, const T* y, const T* weight, T scale, Index K, Index B,
          Index S, Index c0, Index c1, T* rows, T* g) {
  switch (kind) {
#define LINNET_CASE(name)                                                                  \
  case LossKind::name:                                                                     \
    return elementwise_loss<T, LossKind::name>(p0, z, y, weight, scale, K, B, S, c0, c1, rows, g);
    LINNET_CASE(squared)
    LINNET_CASE(absolute)
    LINNET_CASE(smooth_l1)
    LINNET_CASE(huber)
    LINNET_CASE(binary)
    LINNET_CASE(poisson)
    LINNET_CASE(quantile)
#undef LINNET_CASE
    case LossKind::cross_entropy:
      return cross_entropy(z, y, weight, scale, K, B, S, c0, c1, rows, g);
  }
}

}  // namespace
}  // namespace linnet
