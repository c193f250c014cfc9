// A network as a list of nodes over values, trained on batches of columns.
//
// Memory: each value has its activations (H, S) and, where a gradient flows, its gradient (H, S).
// A parameter is the caller's own memory; its gradient is kept here.
//
// Threads: forward and backward are split over columns of the batch, weight gradients and updates
// over rows of the weights. No sum is ever split, so that any number of threads gives the same bits.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "threads.hpp"

namespace linnet {

enum class NodeKind : int { linear, activation, add, multiply_by };

struct Node {
  NodeKind kind;
  int in0, in1, out;         // numbers of values; in1 is -1 where there is none
  int weight = -1, bias = -1;  // numbers of parameters
  Activation activation = Activation::identity;
  double p0 = 0, p1 = 0;
};

template <typename T>
struct Parameter {
  T* data = nullptr;  // the caller's
  Index rows = 0, columns = 0;  // (O, I); a bias is (O, 1)
  bool trained = false;
  int group = 0;
  T *m = nullptr, *v = nullptr, *vmax = nullptr;  // state of the optimizer, the caller's
  double step = 0;
};

// A table of rows (N, D), its targets (N, K) and weights (N) or null; the caller's memory.
template <typename T>
struct Rows {
  const T* X;
  const T* y;
  const T* weight;
  Index n, target_width;
};

struct LossSpec {
  LossKind kind;
  double p0 = 0;
  bool sum = false;
};

template <typename T>
class Network {
 public:
  Network(const Kernels<T>& kernels, std::vector<Index> heights, std::vector<Node> nodes, int output,
          std::vector<Parameter<T>> parameters)
      : k_(kernels),
        heights_(std::move(heights)),
        nodes_(std::move(nodes)),
        output_(output),
        parameters_(std::move(parameters)) {
    find_gradients();
  }

  Index n_inputs() const { return heights_[0]; }
  Index n_outputs() const { return heights_[output_]; }
  std::vector<Parameter<T>>& parameters() { return parameters_; }

  // Make room for batches of B rows.
  void reserve(Index B, bool with_gradients, int n_threads) {
    const Index S = round_up(B);
    while (int(scratch_.size()) < n_threads) scratch_.emplace_back();
    if (S > stride_ || scratch_.back().data() == nullptr)
      for (auto& scratch : scratch_)
        scratch = Buffer<T>(multiply_scratch(std::max(S, stride_)));
    if (S <= stride_ && (has_gradients_ || !with_gradients)) return;
    stride_ = std::max(S, stride_);
    has_gradients_ = has_gradients_ || with_gradients;
    values_.clear();
    slopes_.clear();
    for (std::size_t i = 0; i < heights_.size(); ++i) {
      values_.emplace_back(heights_[i] * stride_);
      slopes_.emplace_back(has_gradients_ && needs_gradient_[i] ? heights_[i] * stride_ : 0);
    }
    rows_ = Buffer<T>(stride_);
    weight_ = Buffer<T>(stride_);
    targets_ = Buffer<T>(std::max(heights_[output_], Index(1)) * stride_);
    if (has_gradients_ && gradients_.empty())
      for (const auto& p : parameters_) gradients_.emplace_back(p.trained ? p.rows * p.columns : 0);
    row_squares_.resize(parameters_.size());
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      row_squares_[i].resize(parameters_[i].trained ? parameters_[i].rows : 0);
  }

  // Columns [c0, c1) of a batch: inputs, targets and weights gathered.
  void read(const Rows<T>& table, const std::int64_t* order, Index B, Index S, Index c0, Index c1) {
    const Index n = std::max(Index(0), std::min(B, c1) - c0), width = c1 - c0;
    // Gathered with the stride of the batch, columns past B zero.
    gather_columns(table.X, heights_[0], order + c0, n, width, values_[0].data() + c0, S);
    if (table.y)
      gather_columns(table.y, table.target_width, order + c0, n, width, targets_.data() + c0, S);
    if (table.weight)
      gather_columns(table.weight, 1, order + c0, n, width, weight_.data() + c0, S);
  }

  void forward(Index S, Index c0, Index c1, int t) {
    for (const Node& node : nodes_) {
      const T* x = values_[node.in0].data();
      T* out = values_[node.out].data();
      const Index H = heights_[node.out];
      switch (node.kind) {
        case NodeKind::linear: {
          const auto& w = parameters_[node.weight];
          const T* bias = node.bias < 0 ? nullptr : parameters_[node.bias].data;
          k_.multiply(w.data, w.columns, 1, bias, x, out, w.rows, w.columns, S, c0, c1, false,
                      scratch_[t].data());
          break;
        }
        case NodeKind::activation:
          each_row(H, S, c0, c1, [&](Index at, Index n) {
            k_.activate(node.activation, T(node.p0), T(node.p1), x + at, out + at, n);
          });
          break;
        case NodeKind::add: {
          const T* y = values_[node.in1].data();
          each_row(H, S, c0, c1, [&](Index at, Index n) {
            for (Index i = at; i < at + n; ++i) out[i] = x[i] + y[i];
          });
          break;
        }
        case NodeKind::multiply_by:
          each_row(H, S, c0, c1, [&](Index at, Index n) {
            for (Index i = at; i < at + n; ++i) out[i] = x[i] * T(node.p0);
          });
          break;
      }
    }
  }

  // The loss of each row, and with `train` the gradient by the outputs.
  void loss(const LossSpec& spec, bool weighted, Index B, Index S, Index c0, Index c1, bool train) {
    const Index K = heights_[output_];
    const bool by_row = spec.kind == LossKind::cross_entropy;
    const T scale = spec.sum ? T(1) : T(1) / (T(B) * (by_row ? T(1) : T(K)));
    k_.loss(spec.kind, T(spec.p0), values_[output_].data(), targets_.data(),
            weighted ? weight_.data() : nullptr, scale, K, B, S, c0, c1, rows_.data(),
            train ? slopes_[output_].data() : nullptr);
  }

  // Sum over the batch of loss times weight, in the order of the rows. A loss by element is a mean
  // over the outputs; for a summed loss it is their sum.
  double total_loss(const LossSpec& spec, bool weighted, Index B) const {
    double sum = 0;
    for (Index b = 0; b < B; ++b)
      sum += double(rows_.data()[b]) * (weighted ? double(weight_.data()[b]) : 1.0);
    const bool by_row = spec.kind == LossKind::cross_entropy;
    return spec.sum && !by_row ? sum * double(heights_[output_]) : sum;
  }

  void backward(Index S, Index c0, Index c1, int t) {
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      const Node& node = nodes_[i];
      if (!needs_gradient_[node.out]) continue;
      const T* g = slopes_[node.out].data();
      const Index H = heights_[node.out];
      if (node.kind == NodeKind::linear) {
        if (!needs_gradient_[node.in0]) continue;
        const auto& w = parameters_[node.weight];
        // dx = W^T g: the same product, rows and columns of W exchanged.
        k_.multiply(w.data, 1, w.columns, nullptr, g, slopes_[node.in0].data(), w.columns, w.rows, S,
                    c0, c1, adds_[i][0], scratch_[t].data());
        continue;
      }
      for (int j = 0; j < 2; ++j) {
        const int in = j ? node.in1 : node.in0;
        if (in < 0 || !needs_gradient_[in]) continue;
        T* out = slopes_[in].data();
        const bool add = adds_[i][j];
        if (node.kind == NodeKind::activation) {
          each_row(H, S, c0, c1, [&](Index at, Index n) {
            k_.activate_backward(node.activation, T(node.p0), T(node.p1),
                                 values_[node.in0].data() + at, values_[node.out].data() + at, g + at,
                                 out + at, n, add);
          });
        } else {
          const T factor = node.kind == NodeKind::multiply_by ? T(node.p0) : T(1);
          each_row(H, S, c0, c1, [&](Index at, Index n) {
            for (Index k = at; k < at + n; ++k) out[k] = (add ? out[k] : T(0)) + g[k] * factor;
          });
        }
      }
    }
  }

  // Gradients of the rows of each weight that belong to thread t of n, and their squares.
  void weigh(Index S, int t, int n, bool with_squares) {
    std::vector<char> written(parameters_.size(), 0);
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      const Node& node = nodes_[i];
      if (node.kind != NodeKind::linear || !needs_gradient_[node.out]) continue;
      const auto& w = parameters_[node.weight];
      const bool has_bias = node.bias >= 0 && parameters_[node.bias].trained;
      const auto [o0, o1] = share(w.rows, t, n);
      const T *g = slopes_[node.out].data(), *x = values_[node.in0].data();
      T* db = has_bias ? gradients_[node.bias].data() : nullptr;
      if (w.trained) {
        const bool add = written[node.weight];
        k_.outer(g, x, gradients_[node.weight].data(), add ? nullptr : db, o0, o1, w.columns, S, add);
        if (add && db) k_.outer(g, x, nullptr, db, o0, o1, 0, S, written[node.bias]);
        written[node.weight] = 1;
      } else if (db) {
        k_.outer(g, x, nullptr, db, o0, o1, 0, S, written[node.bias]);
      }
      if (has_bias) written[node.bias] = 1;
    }
    if (!with_squares) return;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto& p = parameters_[i];
      if (!p.trained) continue;
      const auto [o0, o1] = share(p.rows, t, n);
      for (Index o = o0; o < o1; ++o)
        row_squares_[i][o] = k_.squares(gradients_[i].data() + o * p.columns, p.columns);
    }
  }

  // Euclidean norm of the whole gradient, from the rows' squares, in one order.
  double norm() const {
    double sum = 0;
    for (const auto& rows : row_squares_)
      for (double square : rows) sum += square;
    return std::sqrt(sum);
  }

  void update(SolverKind kind, const std::vector<Group>& groups, double steps_before, double shrink,
              int t, int n) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      auto& p = parameters_[i];
      if (!p.trained) continue;
      const auto [o0, o1] = share(p.rows, t, n);
      const Index from = o0 * p.columns, count = (o1 - o0) * p.columns;
      if (!count) continue;
      const auto at = [from](T* state) { return state ? state + from : nullptr; };
      k_.update(kind, groups[p.group], p.step + steps_before + 1, T(shrink), p.data + from,
                gradients_[i].data() + from, at(p.m), at(p.v), at(p.vmax), count);
    }
  }
  void count_steps(double steps) {
    for (auto& p : parameters_) p.step += p.trained ? steps : 0;
  }

  const T* outputs() const { return values_[output_].data(); }
  const T* gradient(std::size_t i) const { return gradients_[i].data(); }

 private:
  const Kernels<T>& k_;
  std::vector<Index> heights_;
  std::vector<Node> nodes_;
  int output_;
  std::vector<Parameter<T>> parameters_;
  std::vector<char> needs_gradient_;              // of each value
  std::vector<std::array<bool, 2>> adds_;         // whether a node adds to its inputs' gradients
  Index stride_ = 0;
  bool has_gradients_ = false;
  std::vector<Buffer<T>> values_, slopes_, gradients_;
  std::vector<Buffer<T>> scratch_;  // one for each thread
  std::vector<std::vector<double>> row_squares_;
  Buffer<T> rows_, weight_, targets_;

  // A value needs a gradient where a trained parameter lies before it. Going backward, the first
  // node that reaches a value writes its gradient and the others add to it.
  void find_gradients() {
    needs_gradient_.assign(heights_.size(), 0);
    for (const Node& node : nodes_) {
      bool needs = needs_gradient_[node.in0] || (node.in1 >= 0 && needs_gradient_[node.in1]);
      for (int p : {node.weight, node.bias}) needs = needs || (p >= 0 && parameters_[p].trained);
      needs_gradient_[node.out] = needs;
    }
    adds_.resize(nodes_.size());
    std::vector<char> reached(heights_.size(), 0);
    for (std::size_t i = nodes_.size(); i-- > 0;)
      for (int j = 0; j < 2; ++j) {
        const int in = j ? nodes_[i].in1 : nodes_[i].in0;
        if (in < 0) continue;
        adds_[i][j] = reached[in];
        reached[in] = needs_gradient_[nodes_[i].out];
      }
  }

  template <typename F>
  static void each_row(Index H, Index S, Index c0, Index c1, F f) {
    if (c0 == 0 && c1 == S) return f(0, H * S);
    for (Index h = 0; h < H; ++h) f(h * S + c0, c1 - c0);
  }

  void gather_columns(const T* X, Index D, const std::int64_t* order, Index n, Index width, T* x,
                      Index S) {
    k_.gather(X, D, order, n, x, S);
    for (Index d = 0; d < D; ++d)
      for (Index b = n; b < width; ++b) x[d * S + b] = T(0);
  }
};

}  // namespace linnet
