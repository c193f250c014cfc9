// One step of torch.optim's SGD, Adam and AdamW on n numbers, in torch's order of operations.
#pragma once

#include <cmath>

#include "kernels.hpp"
#include "vectors.hpp"

namespace linnet {
namespace {

// step counts from 1. shrink multiplies the gradient (clipping by norm); 1 for none.
template <typename T>
void update(SolverKind kind, const Group& s, double step, T shrink, T* p, const T* g, T* m, T* v,
            T* vmax, Index n) {
  constexpr int W = Lanes<T>::W;
  const T sign = s.maximize ? T(-1) : T(1);
  const T decay = T(s.weight_decay), lr = T(s.lr);
  const double correction1 = 1 - std::pow(s.beta1, step), correction2 = 1 - std::pow(s.beta2, step);
  const T step_size = T(s.lr / correction1), root = T(std::sqrt(correction2)), eps = T(s.eps);
  const T keep1 = T(s.beta1), new1 = T(1 - s.beta1), keep2 = T(s.beta2), new2 = T(1 - s.beta2);
  const bool first = step == 1;

  const auto adam = [&](Vec<T> w, Vec<T> d, Index i, auto get, auto put) {
    if (kind == SolverKind::adamw) w = w * T(1 - s.lr * s.weight_decay);
    else if (decay != T(0)) d = d + w * decay;
    const Vec<T> old = get(m, i);
    const Vec<T> mean = old + (d - old) * new1;
    const Vec<T> square = get(v, i) * keep2 + d * d * new2;
    put(m, i, mean);
    put(v, i, square);
    Vec<T> used = square;
    if (s.amsgrad) {
      const Vec<T> greatest = get(vmax, i);
      used = choose<T>((square > greatest) | (square != square), square, greatest);
      put(vmax, i, used);
    }
    (void)keep1;
    return w - mean / (vsqrt<T>(used) / root + eps) * step_size;
  };
  const auto sgd = [&](Vec<T> w, Vec<T> d, Index i, auto get, auto put) {
    if (decay != T(0)) d = d + w * decay;
    if (s.momentum != 0) {
      const Vec<T> old = first ? d : get(m, i) * T(s.momentum) + d * T(1 - s.dampening);
      put(m, i, old);
      d = s.nesterov ? d + old * T(s.momentum) : old;
    }
    return w - d * lr;
  };
  const auto whole_get = [](const T* a, Index i) { return load(a + i); };
  const auto whole_put = [](T* a, Index i, Vec<T> x) { store(a + i, x); };
  Index i = 0;
  for (; i + W <= n; i += W) {
    const Vec<T> w = load(p + i), d = load(g + i) * (shrink * sign);
    store(p + i, kind == SolverKind::sgd ? sgd(w, d, i, whole_get, whole_put)
                                         : adam(w, d, i, whole_get, whole_put));
  }
  // The last few numbers, of which no whole vector is left, by the same formulas.
  const Index left = n - i;
  if (!left) return;
  const auto part_get = [left](const T* a, Index j) {
    Vec<T> x{};
    std::memcpy(&x, a + j, left * sizeof(T));
    return x;
  };
  const auto part_put = [left](T* a, Index j, Vec<T> x) { std::memcpy(a + j, &x, left * sizeof(T)); };
  const Vec<T> w = part_get(p, i), d = part_get(g, i) * (shrink * sign);
  part_put(p, i, kind == SolverKind::sgd ? sgd(w, d, i, part_get, part_put)
                                         : adam(w, d, i, part_get, part_put));
}

template <typename T>
double squares(const T* g, Index n) {
  double sum = 0;  // one order of additions, whatever the vectors: the same bits everywhere
  double part[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) part[j] += double(g[i + j]) * double(g[i + j]);
  for (int j = 0; j < 8; ++j) sum += part[j];
  for (; i < n; ++i) sum += double(g[i]) * double(g[i]);
  return sum;
}

// The first B columns of x (D, S) = rows order[0..B) of X (N, D), turned to feature-major.
template <typename T>
void gather(const T* X, Index D, const std::int64_t* order, Index B, T* x, Index S) {
  constexpr Index kTile = 16;
  for (Index d0 = 0; d0 < D; d0 += kTile) {
    const Index d1 = d0 + kTile < D ? d0 + kTile : D;
    for (Index b = 0; b < B; ++b) {
      const T* row = X + order[b] * D;
      for (Index d = d0; d < d1; ++d) x[d * S + b] = row[d];
    }
  }
}

}  // namespace
}  // namespace linnet
