// The arithmetic of a step, as a table of functions: one table for each instruction set.
#pragma once

#include "letters.hpp"

namespace linnet {

// Codes shared with src/linnet/engine/program.py.
enum class Activation : int {
  identity, relu, leaky_relu, elu, selu, gelu, gelu_tanh, silu, mish,
  tanh, sigmoid, softplus, softsign, hardtanh, sin, cos,
};
enum class LossKind : int { squared, absolute, smooth_l1, huber, cross_entropy, binary, poisson, quantile };
enum class SolverKind : int { sgd, adam, adamw };

// What a step of the optimizer needs to know of one parameter group.
struct Group {
  double lr = 0, weight_decay = 0;
  double momentum = 0, dampening = 0, beta1 = 0, beta2 = 0, eps = 0;
  bool nesterov = false, amsgrad = false, maximize = false;
};

template <typename T>
struct Kernels {
  // The first B columns of x (D, S) get the rows order[0..B) of the table X (N, D).
  void (*gather)(const T* X, Index D, const std::int64_t* order, Index B, T* x, Index S);

  // z (R, S) = A x + bias, on columns [c0, c1): A[r, k] = a[r * rs + k * ks], x (K, S).
  // With `add`, z += A x instead. scratch has room for multiply_scratch(S) numbers, or is null.
  void (*multiply)(const T* a, Index rs, Index ks, const T* bias, const T* x, T* z, Index R,
                   Index K, Index S, Index c0, Index c1, bool add, T* scratch);

  // dW (O, I) += or = g x^T for rows [o0, o1), and db (O) the row sums of g (O, S); x (I, S).
  void (*outer)(const T* g, const T* x, T* dW, T* db, Index o0, Index o1, Index I, Index S,
                bool add);

  // a = f(z) on n numbers; g becomes g f'(z).
  void (*activate)(Activation kind, T p0, T p1, const T* z, T* a, Index n);
  void (*activate_backward)(Activation kind, T p0, T p1, const T* z, const T* a, const T* g, T* out,
                            Index n, bool add);

  // rows (S) gets the loss of each row over outputs z (K, S) and targets y (K, S) (class numbers
  // in y (1, S) for cross_entropy); g (K, S) its gradient times scale times weight (S, or null).
  void (*loss)(LossKind kind, T p0, const T* z, const T* y, const T* weight, T scale, Index K,
               Index B, Index S, Index c0, Index c1, T* rows, T* g);

  // p (n) is updated from its gradient g, times `shrink` (clipping); m, v, vmax are the state.
  void (*update)(SolverKind kind, const Group& group, double step, T shrink, T* p, const T* g, T* m,
                 T* v, T* vmax, Index n);

  // Sum of squares of n numbers.
  double (*squares)(const T* g, Index n);
};

// Numbers that `multiply` copies at once, at most: 256 rows of x, and of a block of A.
constexpr Index multiply_scratch(Index S) { return 256 * (S + 8); }

// One for each object library; null where it is not built.
#define LINNET_LEVEL_TABLES(level)        \
  const Kernels<float>& level##_float();  \
  const Kernels<double>& level##_double();
LINNET_LEVEL_TABLES(v2)
LINNET_LEVEL_TABLES(v3)
LINNET_LEVEL_TABLES(v4)
LINNET_LEVEL_TABLES(plain)
#undef LINNET_LEVEL_TABLES

}  // namespace linnet
