// The gradients of the weights, their norm, and the step of the optimizer.
//
// Each thread has rows of every parameter: it sums their gradients over the batch, all in the order of
// its rows, and updates them. No sum is split, so any number of threads gives the same bits.
#pragma once

#include <cmath>
#include <vector>

#include "network.hpp"
#include "threads.hpp"

namespace linnet {

template <typename T>
class Gradients {
 public:
  explicit Gradients(Network<T>& network) : net_(network) {
    for (const auto& p : net_.parameters()) row_squares_.emplace_back(p.trained ? p.rows : 0);
  }

  // Gradients of the rows that belong to thread t of n; S columns of the batch are in use. `stops` is
  // asked before each node, and ends the work where it is true.
  template <typename F>
  void weigh(Index S, int t, int n, F stops) {
    std::vector<char> written(net_.parameters().size(), 0);
    for (std::size_t i = net_.nodes().size(); i-- > 0;) {
      const Node& node = net_.nodes()[i];
      if (!net_.needs_gradient(node.out)) continue;
      if (stops()) return;
      if (node.kind == NodeKind::linear) weigh_linear(node, S, t, n, written);
      if (node.kind == NodeKind::scale) weigh_scale(node, S, t, n, written);
    }
  }

  // Euclidean norm of the whole gradient, from the squares of rows, in one order.
  void square(int t, int n) {
    for (std::size_t i = 0; i < row_squares_.size(); ++i) {
      const auto& p = net_.parameters()[i];
      if (!p.trained) continue;
      const auto [o0, o1] = share(p.rows, t, n);
      for (Index o = o0; o < o1; ++o)
        row_squares_[i][o] = net_.k.squares(net_.gradient(int(i)) + o * p.columns, p.columns);
    }
  }
  double norm() const {
    double sum = 0;
    for (const auto& rows : row_squares_)
      for (double square : rows) sum += square;
    return std::sqrt(sum);
  }

  void update(SolverKind kind, const std::vector<Group>& groups, double steps_before, double shrink,
              double clip_value, int t, int n) {
    Step step;
    int known = -1;  // the group that `step` is of
    double count = 0;
    for (std::size_t i = 0; i < net_.parameters().size(); ++i) {
      auto& p = net_.parameters()[i];
      if (!p.trained) continue;
      const auto [o0, o1] = share(p.rows, t, n);
      if (o0 == o1) continue;
      if (p.group != known || p.step + steps_before + 1 != count) {
        known = p.group;
        count = p.step + steps_before + 1;
        step.group = groups[p.group];
        step.first = count == 1;
        step.shrink = shrink;
        step.clip_value = clip_value;
        if (kind != SolverKind::sgd) {
          step.correction1 = 1 - std::pow(step.group.beta1, count);
          step.correction2 = 1 - std::pow(step.group.beta2, count);
        }
      }
      const Index from = o0 * p.columns;
      const auto at = [from](T* state) { return state ? state + from : nullptr; };
      net_.k.update(kind, step, p.data + from, net_.gradient(int(i)) + from, at(p.m), at(p.v), at(p.vmax),
                    (o1 - o0) * p.columns);
    }
  }

 private:
  Network<T>& net_;
  std::vector<std::vector<double>> row_squares_;

  bool is_trained(int parameter) const { return parameter >= 0 && net_.parameters()[parameter].trained; }

  void weigh_linear(const Node& node, Index S, int t, int n, std::vector<char>& written) {
    const Index O = net_.H(node.out), I = net_.H(node.in0);
    const auto [o0, o1] = share(O, t, n);
    const T *g = net_.slope(node.out, 0), *x = net_.value(node.in0, 0);
    if (is_trained(node.weight)) {
      T* dW = net_.gradient(node.weight);
      const bool add = written[node.weight];
      if (net_.is_turned(node))
        net_.k.outer_turned(g, O, net_.turned(node.in0), net_.turned_step(), I, dW, o0, o1, S, add);
      else
        net_.k.outer(g, O, x, I, dW, o0, o1, S, add);
      written[node.weight] = 1;
    }
    if (is_trained(node.bias)) {
      net_.k.row_sums(g, O, nullptr, 1, nullptr, net_.gradient(node.bias), o0, o1, S, false,
                      written[node.bias]);
      written[node.bias] = 1;
    }
  }

  void weigh_scale(const Node& node, Index S, int t, int n, std::vector<char>& written) {
    const Index rows = net_.H(node.out), F = rows / net_.H(node.in0);
    T* dw = is_trained(node.weight) ? net_.gradient(node.weight) : nullptr;
    T* db = is_trained(node.bias) ? net_.gradient(node.bias) : nullptr;
    if (!dw && !db) return;
    // Rows of the parameter, (D, F) or (H, 1), so that whoever sums a row also updates it.
    const Index per_row = net_.parameters()[node.weight].columns;
    const auto [r0, r1] = share(rows / per_row, t, n);
    net_.k.row_sums(net_.slope(node.out, 0), rows, net_.value(node.in0, 0), F, dw, db, r0 * per_row,
                    r1 * per_row, S, dw && written[node.weight], db && written[node.bias]);
    if (dw) written[node.weight] = 1;
    if (db) written[node.bias] = 1;
  }
};

}  // namespace linnet
