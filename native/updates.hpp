// One step of torch.optim's SGD, Adam and AdamW on n numbers, in torch's order of operations.
#pragma once

#include "functions.hpp"
#include "kernels.hpp"

namespace linnet {
namespace {

// Four vectors (p, m, v, vmax) at one place, and the gradient there.
template <typename T>
struct Place {
  Vec<T> p, d, m, v, vmax;
};

template <typename T>
inline void adam(Place<T>& a, const Step& step, bool is_decoupled) {
  const Group& s = step.group;
  if (is_decoupled) a.p = a.p * T(1 - s.lr * s.weight_decay);
  else if (s.weight_decay != 0) a.d = a.d + a.p * T(s.weight_decay);
  a.m = a.m + (a.d - a.m) * T(1 - s.beta1);
  a.v = a.v * T(s.beta2) + a.d * a.d * T(1 - s.beta2);
  Vec<T> used = a.v;
  if (s.amsgrad) used = a.vmax = choose<T>((a.v > a.vmax) | (a.v != a.v), a.v, a.vmax);
  // A product with 1 / root where torch divides by it: one of the three slow operations less.
  const T by_root = T(1 / std::sqrt(step.correction2)), size = T(s.lr / step.correction1);
  a.p = a.p - a.m / (vsqrt<T>(used) * by_root + T(s.eps)) * size;
}

template <typename T>
inline void sgd(Place<T>& a, const Step& step) {
  const Group& s = step.group;
  if (s.weight_decay != 0) a.d = a.d + a.p * T(s.weight_decay);
  if (s.momentum != 0) {
    a.m = step.first ? a.d : a.m * T(s.momentum) + a.d * T(1 - s.dampening);
    a.d = s.nesterov ? a.d + a.m * T(s.momentum) : a.m;
  }
  a.p = a.p - a.d * T(s.lr);
}

template <typename T>
void update(SolverKind kind, const Step& step, T* p, const T* g, T* m, T* v, T* vmax, Index n) {
  const T factor = T(step.shrink) * (step.group.maximize ? T(-1) : T(1)), clip = T(step.clip_value);
  const auto work = [&](Index i, auto get, auto put) {
    Place<T> a{get(p + i), get(g + i), {}, {}, {}};
    a.d = a.d * factor;
    if (clip > T(0)) a.d = clamp<T>(a.d, -clip, clip);
    if (m) a.m = get(m + i);
    if (v) a.v = get(v + i);
    if (vmax) a.vmax = get(vmax + i);
    if (kind == SolverKind::sgd) sgd(a, step);
    else adam(a, step, kind == SolverKind::adamw);
    put(p + i, a.p);
    if (m) put(m + i, a.m);
    if (v) put(v + i, a.v);
    if (vmax) put(vmax + i, a.vmax);
  };
  constexpr Index W = kWidth<T>;
  Index i = 0;
  for (; i + W <= n; i += W)
    work(i, [](const T* a) { return load(a); }, [](T* a, Vec<T> x) { store(a, x); });
  const Index left = n - i;
  if (left)
    work(i, [=](const T* a) { return load_part(a, left); },
         [=](T* a, Vec<T> x) { store_part(a, x, left); });
}

// In one order of additions, whatever the width of a vector.
template <typename T>
double squares(const T* g, Index n) {
  double part[8] = {}, sum = 0;
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) part[j] += double(g[i + j]) * double(g[i + j]);
  for (int j = 0; j < 8; ++j) sum += part[j];
  for (; i < n; ++i) sum += double(g[i]) * double(g[i]);
  return sum;
}

}  // namespace
}  // namespace linnet
