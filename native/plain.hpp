// The plain twins of the fast kernels: the same arithmetic as a textbook writes it, number by number
// and in float64. The native tests tie the kernels to them.
#pragma once

#include <cmath>

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
  }
  return z;
}

}  // namespace plain
}  // namespace linnet
