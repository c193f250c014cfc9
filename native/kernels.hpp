// The arithmetic of a step, as a table of functions: one table for each instruction set.
//
// A panel x (H, C) is contiguous. `n` is the number of its columns in use, a multiple of W; S is that
// of a whole batch. From one panel of a value to the next it is H * C numbers.
#pragma once

#include "letters.hpp"

namespace linnet {

// Codes shared with src/linnet/engine/program.py.
enum class Activation : int {
  identity, relu, leaky_relu, elu, selu, gelu, gelu_tanh, silu, mish,
  tanh, sigmoid, softplus, softsign, hardtanh, sin, cos, celu,
};
constexpr Activation kLastActivation = Activation::celu;
enum class LossKind : int {
  squared, absolute, smooth_l1, huber, cross_entropy, binary, poisson, quantile, gaussian,
};
enum class SolverKind : int { sgd, adam, adamw };

// What a step of the optimizer needs to know of one parameter group.
struct Group {
  double lr = 0, weight_decay = 0;
  double momentum = 0, dampening = 0, beta1 = 0, beta2 = 0, eps = 0;
  bool nesterov = false, amsgrad = false, maximize = false;
};

// A group at a step, counted from 1: 1 - beta^step of Adam, and whether momentum starts.
struct Step {
  Group group;
  double correction1 = 1, correction2 = 1;
  bool first = false;
  double shrink = 1;      // what clipping by norm leaves of the gradient
  double clip_value = 0;  // greatest size of a gradient's number; 0 for any
};

// A matrix of weights (R, K) as `multiply` reads it: A[r, k] = at[r * rs + k * ks]; or in blocks of
// so many rows that lie together, (R / rows, K, rows).
template <typename T>
struct Weights {
  const T* at;
  Index rs, ks;
  bool packed;
};

template <typename T>
struct LossSpec {
  LossKind kind = LossKind::squared;
  T p0 = 0;                    // beta, delta, the quantile, or label smoothing
  const T* classes = nullptr;  // weights of the classes or of positive labels (K), or null
  bool sum = false;
};

template <typename T>
struct Kernels {
  Index columns;  // C
  Index vector;   // W
  Index block;    // rows that are packed together

  // Panel x (D, C) gets rows[0..b) of the table X (N, D), the last of them again to fill it.
  void (*gather)(const T* X, Index D, const std::int64_t* rows, Index b, T* x);

  // The rows of `turned` that belong to a panel x (H, C): turned is (ceil(H / C), S, C), units along
  // the lanes; it points at the panel's first row, and step is from one block of units to the next.
  void (*turn)(const T* x, Index H, Index n, T* turned, Index step);

  // z (R, C) = A x + bias, x (K, C); with `add`, z += A x instead.
  void (*multiply)(Weights<T> a, const T* bias, const T* x, T* z, Index R, Index K, Index n, bool add);
  // Blocks [b0, b1) of A (R, K) in the order that multiply reads.
  void (*pack)(Weights<T> a, Index R, Index K, Index b0, Index b1, T* packed);

  // dW (O, I), rows [o0, o1), = or += sum over the batch of g[o] x[i]. By `outer` from panels of g
  // and x, for few units; by `outer_turned` from panels of g and the turned x, for many.
  void (*outer)(const T* g, Index O, const T* x, Index I, T* dW, Index o0, Index o1, Index S, bool add);
  void (*outer_turned)(const T* g, Index O, const T* turned, Index step, Index I, T* dW, Index o0,
                       Index o1, Index S, bool add);
  // The same for each column of a panel by itself: dW (O I, C) = or += g[o] x[i].
  void (*spread)(const T* g, Index O, const T* x, Index I, T* dW, bool add);
  // dw[h] = or += sum of g[h] x[h / F] and db[h] of g[h], for rows [h0, h1) of g (H, C) and x (H/F, C);
  // either may be null.
  void (*row_sums)(const T* g, Index H, const T* x, Index F, T* dw, T* db, Index h0, Index h1, Index S,
                   bool add_w, bool add_b);

  // a = f(z); out = or += g f'(z).
  void (*activate)(Activation kind, T p0, T p1, const T* z, T* a, Index H, Index n);
  void (*activate_backward)(Activation kind, T p0, T p1, const T* z, const T* a, const T* g, T* out,
                            Index H, Index n, bool add);

  // out = p a + q b + r; b may be null. out = or += p a. out = or += a b.
  void (*combine)(const T* a, const T* b, T p, T q, T r, T* out, Index H, Index n);
  void (*accumulate)(const T* a, T p, T* out, Index H, Index n, bool add);
  void (*product)(const T* a, const T* b, T* out, Index H, Index n, bool add);
  // out[h] = x[h / F] w[h] + b[h], H rows; b may be null. dx[h / F] = or += sum of g[h] w[h].
  void (*scale)(const T* x, const T* w, const T* b, Index F, T* out, Index H, Index n);
  void (*scale_backward)(const T* g, const T* w, Index F, T* dx, Index H, Index n, bool add);

  // mask (H, C): 1 / (1 - rate), or with probability `rate` 0, by key, row number and unit.
  void (*mask)(std::uint64_t key, double rate, Index first_row, T* mask, Index H, Index n);

  // Each column of x (H, C) to mean 0 and variance 1; inverse (C) gets 1 / sqrt(variance + eps). Not
  // centred, the mean is taken as 0, so that the variance is the mean square.
  void (*normalize)(const T* x, T eps, bool centred, T* out, T* inverse, Index H, Index n);
  void (*normalize_backward)(const T* g, const T* out, const T* inverse, bool centred, T* dx, Index H,
                             Index n, bool add);
  // The first for rows [h0, h1) over the B columns of a batch; mean, variance and inverse are (H).
  void (*normalize_rows)(const T* x, T eps, T* out, T* mean, T* variance, T* inverse, Index H, Index h0,
                         Index h1, Index B);
  void (*normalize_rows_backward)(const T* g, const T* out, const T* inverse, T* dx, Index H, Index h0,
                                  Index h1, Index B, bool add);

  // losses (C) gets the loss of each of b rows over outputs z (K, C) and targets y (K, C), or class
  // numbers y (1, C); g (K, C), or null, its gradient times scale times weight (C, or null). For
  // gaussian z is (2 K, C): means, then logarithms of variances.
  void (*loss)(const LossSpec<T>& spec, const T* z, const T* y, const T* weight, T scale, Index K,
               Index b, T* losses, T* g);

  // p (n) is updated from its gradient g; m, v, vmax are the state.
  void (*update)(SolverKind kind, const Step& step, T* p, const T* g, T* m, T* v, T* vmax, Index n);

  // Sum of squares of n numbers.
  double (*squares)(const T* g, Index n);
};

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
