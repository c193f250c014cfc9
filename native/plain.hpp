// The plain twins of the fast kernels: the same arithmetic as a textbook writes it, number by number
// and in float64. The native tests tie the kernels to them.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels.hpp"

namespace linnet {
namespace plain {

// The number of unit h and row b of a value of H units in panels of C columns.
template <typename T>
double at(const T* value, Index H, Index C, Index h, Index b) {
  return double(value[b / C * H * C + h * C + b % C]);
}

// z[r, c] = bias[r] + sum over k of A[r, k] x[k, c]
template <typename T>
double multiply(Weights<T> a, const T* bias, const T* x, Index K, Index C, Index r, Index c) {
  double sum = bias ? double(bias[r]) : 0;
  for (Index k = 0; k < K; ++k) sum += double(a.at[r * a.rs + k * a.ks]) * double(x[k * C + c]);
  return sum;
}

// dW[o, i] = sum over b of g[o, b] x[i, b]
template <typename T>
double outer(const T* g, Index O, const T* x, Index I, Index C, Index B, Index o, Index i) {
  double sum = 0;
  for (Index b = 0; b < B; ++b) sum += at(g, O, C, o, b) * at(x, I, C, i, b);
  return sum;
}

// One column x (H) to mean 0 (where `centred`) and mean square 1; returns 1 / sqrt(variance + eps).
inline double normalize(std::vector<double>& x, double eps, bool centred) {
  double mean = 0, square = 0;
  for (double v : x) mean += centred ? v / double(x.size()) : 0;
  for (double& v : x) square += (v -= mean) * v / double(x.size());
  const double inverse = 1 / std::sqrt(square + eps);
  for (double& v : x) v *= inverse;
  return inverse;
}
// The gradient by x, of one column, from that by its normalised values `out`.
inline std::vector<double> normalize_backward(const std::vector<double>& g, const std::vector<double>& out,
                                              double inverse, bool centred) {
  double mean = 0, along = 0;
  const double n = double(g.size());
  for (std::size_t h = 0; h < g.size(); ++h) mean += centred ? g[h] / n : 0, along += g[h] * out[h] / n;
  std::vector<double> dx(g.size());
  for (std::size_t h = 0; h < g.size(); ++h) dx[h] = inverse * (g[h] - mean - out[h] * along);
  return dx;
}

// Threefry-2x32 of 13 rounds (Salmon et al. 2011): the two words for a counter and a key.
inline std::pair<std::uint32_t, std::uint32_t> threefry(std::uint32_t x0, std::uint32_t x1,
                                                        std::uint64_t key) {
  const std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
  const std::uint32_t keys[] = {k0, k1, 0x1BD11BDAu ^ k0 ^ k1};
  const int turns[] = {13, 15, 26, 6, 17, 29, 16, 24};
  x0 += keys[0], x1 += keys[1];
  for (int round = 0; round < 13; ++round) {
    x0 += x1;
    x1 = (x1 << turns[round % 8] | x1 >> (32 - turns[round % 8])) ^ x0;
    if (round % 4 == 3) {
      const std::uint32_t part = std::uint32_t(round / 4 + 1);
      x0 += keys[part % 3], x1 += keys[(part + 1) % 3] + part;
    }
  }
  return {x0, x1};
}

inline double expm1_below(double z, double alpha) { return z > 0 ? z : alpha * std::expm1(z); }

inline double activation(Activation kind, double z, double p0, double p1) {
  switch (kind) {
    case Activation::identity: return z;
    case Activation::relu: return z > 0 ? z : 0;
    case Activation::leaky_relu: return z > 0 ? z : z * p0;
    case Activation::elu: return expm1_below(z, p0);
    case Activation::selu: return 1.05070098735548049342 * expm1_below(z, 1.67326324235437728481);
    case Activation::gelu: return z / 2 * (1 + std::erf(z / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return z / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
    case Activation::silu: return z / (1 + std::exp(-z));
    case Activation::mish: return z * std::tanh(z > 50 ? z : std::log1p(std::exp(z)));
    case Activation::tanh: return std::tanh(z);
    case Activation::sigmoid: return 1 / (1 + std::exp(-z));
    case Activation::softplus: return z * p0 > p1 ? z : std::log1p(std::exp(z * p0)) / p0;
    case Activation::softsign: return z / (1 + std::fabs(z));
    case Activation::hardtanh: return z < p0 ? p0 : z > p1 ? p1 : z;
    case Activation::sin: return std::sin(z);
    case Activation::cos: return std::cos(z);
    case Activation::celu: return expm1_below(z / p0, 1) * p0;
  }
  return z;
}

// Loss of a row with outputs z (K), or (2 K) for gaussian, and targets y (K), or a class number y (1).
// p0 and the weights of classes or positive labels (K), or null, are those of LossSpec.
inline double loss(LossKind kind, double p0, const double* classes, const double* z, const double* y,
                   Index K) {
  const auto weight = [&](Index k) { return classes ? classes[k] : 1.0; };
  double sum = 0;
  if (kind == LossKind::cross_entropy) {
    double all = 0;
    for (Index k = 0; k < K; ++k) all += std::exp(z[k]);
    for (Index k = 0; k < K; ++k) {
      const double target = (k == Index(y[0]) ? 1 - p0 : 0) + p0 / double(K);
      sum -= target * weight(k) * std::log(std::exp(z[k]) / all);
    }
    return sum;
  }
  for (Index k = 0; k < K; ++k) {
    const double e = z[k] - y[k], size = std::fabs(e);
    switch (kind) {
      case LossKind::squared: sum += e * e; break;
      case LossKind::absolute: sum += size; break;
      case LossKind::smooth_l1: sum += size < p0 ? e * e / (2 * p0) : size - p0 / 2; break;
      case LossKind::huber: sum += size < p0 ? e * e / 2 : p0 * (size - p0 / 2); break;
      case LossKind::binary:
        sum += weight(k) * y[k] * std::log1p(std::exp(-z[k])) + (1 - y[k]) * std::log1p(std::exp(z[k]));
        break;
      case LossKind::poisson:
        sum += std::exp(z[k]) - y[k] - y[k] * z[k] + (y[k] > 0 ? y[k] * std::log(y[k]) : 0);
        break;
      case LossKind::quantile: sum += std::max(p0 * -e, (p0 - 1) * -e); break;
      case LossKind::gaussian: sum += (std::log(2 * M_PI) + z[K + k] + e * e / std::exp(z[K + k])) / 2; break;
      case LossKind::cross_entropy: break;
    }
  }
  return sum / double(K);
}

// A parameter with the state of its optimizer.
struct State {
  double p, m = 0, v = 0, vmax = 0;
};

// Step number t, from 1, of torch.optim's SGD, Adam and AdamW along the gradient g.
inline void update(SolverKind kind, const Group& s, double t, double g, State& a) {
  if (s.maximize) g = -g;
  if (kind == SolverKind::adamw) a.p -= s.lr * s.weight_decay * a.p;
  else g += s.weight_decay * a.p;
  if (kind == SolverKind::sgd) {
    a.m = t == 1 ? g : s.momentum * a.m + (1 - s.dampening) * g;
    a.p -= s.lr * (s.momentum == 0 ? g : s.nesterov ? g + s.momentum * a.m : a.m);
    return;
  }
  a.m = s.beta1 * a.m + (1 - s.beta1) * g;
  a.v = s.beta2 * a.v + (1 - s.beta2) * g * g;
  a.vmax = std::max(a.vmax, a.v);
  const double mean = a.m / (1 - std::pow(s.beta1, t));
  const double square = (s.amsgrad ? a.vmax : a.v) / (1 - std::pow(s.beta2, t));
  a.p -= s.lr * mean / (std::sqrt(square) + s.eps);
}

}  // namespace plain
}  // namespace linnet
