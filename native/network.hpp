// A network on panels of a batch: forward, loss, backward.
//
// Each value has its activations and, where a gradient flows, its gradient: (panels, H, C). They are
// made for a whole batch in training, since weight gradients need them all, and for one panel of each
// thread in evaluation.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "memory.hpp"
#include "program.hpp"

namespace linnet {

template <typename T>
class Network {
 public:
  Network(const Kernels<T>& kernels, Program<T> program, std::vector<std::int64_t*> counters)
      : k(kernels), C(kernels.columns), program_(std::move(program)), counters_(std::move(counters)) {
    find_gradients();
    find_segments();
    packed_.resize(program_.parameters.size());
    for (const Node& node : program_.nodes)
      if (node.kind == NodeKind::linear && is_large(node)) packed_[node.weight].wanted = true;
  }

  Index n_inputs() const { return H(0); }
  Index n_outputs() const { return H(program_.output); }
  // Multiply-adds of a row through the linear layers.
  Index work() const {
    Index sum = 0;
    for (const Node& node : program_.nodes)
      if (node.kind == NodeKind::linear) sum += H(node.in0) * H(node.out);
    return sum;
  }
  std::vector<Parameter<T>>& parameters() { return program_.parameters; }
  Index panels(Index B) const { return round_up(B, C) / C; }
  Index columns(Index B) const { return round_up(B, k.vector); }  // S

  // Segments of nodes that a panel passes through alone; between two stands a node that needs the
  // whole batch (batch_norm).
  std::size_t n_segments() const { return segments_.size(); }

  // Make room for so many panels, and with `training` for gradients.
  void reserve(Index n_panels, bool training) {
    if (n_panels <= n_panels_ && (is_training_ || !training)) return;
    n_panels_ = std::max(n_panels, n_panels_);
    is_training_ = is_training_ || training;
    const std::size_t n = program_.heights.size();
    values_.clear();
    slopes_.clear();
    for (std::size_t i = 0; i < n; ++i) {
      values_.emplace_back(H(i) * C * n_panels_);
      slopes_.emplace_back(is_training_ && needs_gradient_[i] ? H(i) * C * n_panels_ : 0);
    }
    turned_.clear();
    turned_.resize(n);
    inverses_.clear();
    for (const Node& node : program_.nodes) {
      if (is_training_ && node.kind == NodeKind::linear && is_turned(node) && !turned_[node.in0].data())
        turned_[node.in0] = Buffer<T>(round_up(H(node.in0), C) * n_panels_ * C);
      const bool by_row = node.kind == NodeKind::batch_norm;
      const bool by_column = node.kind == NodeKind::layer_norm || node.kind == NodeKind::rms_norm;
      inverses_.emplace_back(by_row      ? std::max(Index(3), 2 * n_panels_) * H(node.out)
                             : by_column ? n_panels_ * C
                                         : 0);
    }
    losses_ = Buffer<T>(n_panels_ * C);
    weight_ = Buffer<T>(n_panels_ * C);
    targets_ = Buffer<T>(std::max(n_outputs(), Index(1)) * n_panels_ * C);
    if (is_training_ && gradients_.empty())
      for (const auto& p : program_.parameters)
        gradients_.emplace_back(p.trained ? p.rows * p.columns : 0);
  }

  // Put the rows of a panel (b of them, numbers from `rows`) into slot p.
  void read(const Rows<T>& table, const std::int64_t* rows, Index p, Index b, bool training) {
    k.gather(table.X, H(0), rows, b, value(0, p));
    if (table.y) k.gather(table.y, table.target_width, rows, b, targets(table, p));
    if (table.weight) k.gather(table.weight, 1, rows, b, weight_.data() + p * C);
    if (training && turned_[0].data()) turn(0, p, columns(b));
  }

  // One panel through a segment. first_row is the panel's place in the epoch, for dropout.
  void forward(std::size_t segment, Index p, Index b, bool training, Index first_row, std::uint64_t seed) {
    const auto [from, to] = segments_[segment];
    for (std::size_t i = from; i < to; ++i) {
      forward_node(i, p, columns(b), training, first_row, seed);
      const int out = program_.nodes[i].out;
      if (training && turned_[out].data()) turn(out, p, columns(b));
    }
  }

  // The node after a segment, rows [h0, h1) of B columns.
  void forward_rows(std::size_t segment, Index t, Index n, Index B) {
    const Node& node = batch_node(segment);
    T* stats = inverses_[segments_[segment].second].data();
    const Index rows = H(node.out), h0 = rows * t / n, h1 = rows * (t + 1) / n;
    T *mean = stats, *variance = stats + rows, *inverse = stats + 2 * rows;
    k.normalize_rows(value(node.in0, 0), T(node.p0), value(node.out, 0), mean, variance, inverse, rows,
                     h0, h1, B);
    // torch keeps the unbiased variance; without a momentum a mean over all batches.
    const T rate = T(node.p1 < 0 ? 1.0 / double(*counters_[node.number] + 1) : node.p1);
    const T unbiased = B > 1 ? T(B) / T(B - 1) : T(1);
    T* running[] = {program_.parameters[node.weight].data, program_.parameters[node.bias].data};
    for (Index h = h0; h < h1; ++h) {
      running[0][h] = running[0][h] * (T(1) - rate) + mean[h] * rate;
      running[1][h] = running[1][h] * (T(1) - rate) + variance[h] * unbiased * rate;
    }
  }
  void count_batch() {
    for (auto* counter : counters_) ++*counter;
  }
  // The values after the node of rows, turned where weight gradients want them so.
  void turn_after_rows(std::size_t segment, Index p, Index b) {
    const int out = batch_node(segment).out;
    if (turned_[out].data()) turn(out, p, columns(b));
  }
  // In evaluation the node is an affine map of each row.
  void forward_rows_evaluating(std::size_t segment, Index p, Index b) {
    const Node& node = batch_node(segment);
    const T* mean = program_.parameters[node.weight].data;
    const T* variance = program_.parameters[node.bias].data;
    T* stats = inverses_[segments_[segment].second].data();
    const Index rows = H(node.out);
    T *shift = stats + rows * 2 * p, *by = shift + rows;
    for (Index h = 0; h < rows; ++h) {
      by[h] = T(1) / std::sqrt(variance[h] + T(node.p0));
      shift[h] = -mean[h] * by[h];
    }
    k.scale(value(node.in0, p), by, shift, 1, value(node.out, p), rows, columns(b));
  }

  // The loss of each of b rows, and with `training` the gradient by the outputs.
  void loss(const LossSpec<T>& spec, const Rows<T>& table, T scale, Index p, Index b, bool training) {
    const Index K = n_outputs() / (spec.kind == LossKind::gaussian ? 2 : 1);
    k.loss(spec, value(program_.output, p), targets(table, p), table.weight ? weight_.data() + p * C : nullptr,
           scale, K, b, losses_.data() + p * C, training ? slope(program_.output, p) : nullptr);
  }
  // Sum over b rows, in their order, of loss times weight.
  double total_loss(const Rows<T>& table, Index p, Index b) const {
    double sum = 0;
    const T *losses = losses_.data() + p * C, *weights = weight_.data() + p * C;
    for (Index i = 0; i < b; ++i) sum += double(losses[i]) * (table.weight ? double(weights[i]) : 1.0);
    return sum;
  }

  void backward(std::size_t segment, Index p, Index b) {
    const auto [from, to] = segments_[segment];
    for (std::size_t i = to; i-- > from;) backward_node(i, p, columns(b));
  }
  void backward_rows(std::size_t segment, Index t, Index n, Index B) {
    const std::size_t i = segments_[segment].second;
    const Node& node = program_.nodes[i];
    if (!needs_gradient_[node.in0]) return;
    const Index rows = H(node.out);
    k.normalize_rows_backward(slope(node.out, 0), value(node.out, 0), inverses_[i].data() + 2 * rows,
                              slope(node.in0, 0), rows, rows * t / n, rows * (t + 1) / n, B, adds_[i][0]);
  }

  // Copies of large weights in the order that products read; by the thread t of n.
  bool packs() const {
    return std::any_of(packed_.begin(), packed_.end(), [](const Packed& p) { return p.wanted; });
  }
  void pack(Index t, Index n, bool only_trained) {
    for (std::size_t i = 0; i < packed_.size(); ++i) {
      Packed& p = packed_[i];
      const auto& w = program_.parameters[i];
      if (!p.wanted || (only_trained && !w.trained)) continue;
      const Index forward = blocks(w.rows), backward = blocks(w.columns);
      k.pack({w.data, w.columns, 1, false}, w.rows, w.columns, forward * t / n, forward * (t + 1) / n,
             p.forward.data());
      if (p.backward.data())
        k.pack({w.data, 1, w.columns, false}, w.columns, w.rows, backward * t / n,
               backward * (t + 1) / n, p.backward.data());
    }
  }
  // Room for the copies; without them (a few rows to predict) the weights are read where they lie.
  void use_packed(bool use, bool training) {
    uses_packed_ = use;
    for (std::size_t i = 0; use && i < packed_.size(); ++i) {
      Packed& p = packed_[i];
      const auto& w = program_.parameters[i];
      if (!p.wanted) continue;
      if (!p.forward.data()) p.forward = Buffer<T>(blocks(w.rows) * k.block * w.columns);
      if (training && !p.backward.data()) p.backward = Buffer<T>(blocks(w.columns) * k.block * w.rows);
    }
  }

  T* value(int i, Index p) { return values_[i].data() + p * H(i) * C; }
  T* slope(int i, Index p) { return slopes_[i].data() + p * H(i) * C; }
  const T* outputs(Index p) { return value(program_.output, p); }
  int output() const { return program_.output; }
  const T* weights(Index p) const { return weight_.data() + p * C; }  // of the rows of a panel
  T* targets(const Rows<T>& table, Index p) { return targets_.data() + p * table.target_width * C; }
  const Kernels<T>& k;
  const Index C;

  // For the weight gradients (gradients.hpp).
  Index H(std::size_t i) const { return program_.heights[i]; }
  const std::vector<Node>& nodes() const { return program_.nodes; }
  bool needs_gradient(int i) const { return needs_gradient_[i]; }
  bool is_turned(const Node& node) const {
    return program_.parameters[node.weight].trained && H(node.out) >= 8 && H(node.in0) >= k.vector;
  }
  const T* turned(int i) const { return turned_[i].data(); }
  Index turned_step() const { return n_panels_ * C * C; }
  T* gradient(int parameter) { return gradients_[parameter].data(); }

 private:
  struct Packed {
    bool wanted = false;
    Buffer<T> forward, backward;
  };
  Program<T> program_;
  std::vector<std::int64_t*> counters_;  // batches seen by each batch_norm, the caller's
  std::vector<char> needs_gradient_;     // of each value
  std::vector<std::array<bool, 2>> adds_;  // whether a node adds to its inputs' gradients
  std::vector<std::pair<std::size_t, std::size_t>> segments_;
  Index n_panels_ = 0;
  bool is_training_ = false, uses_packed_ = false;
  std::vector<Buffer<T>> values_, slopes_, turned_, gradients_;
  std::vector<Buffer<T>> inverses_;  // of each node that normalises
  std::vector<Packed> packed_;       // of each parameter
  Buffer<T> losses_, weight_, targets_;

  Index blocks(Index rows) const { return round_up(rows, k.block) / k.block; }
  // Weights that do not stay in the first cache beside a panel.
  bool is_large(const Node& node) const { return H(node.in0) * H(node.out) * Index(sizeof(T)) > 16 * 1024; }
  const Node& batch_node(std::size_t segment) const { return program_.nodes[segments_[segment].second]; }
  T* data(int parameter) const { return parameter < 0 ? nullptr : program_.parameters[parameter].data; }
  void turn(int i, Index p, Index n) {
    k.turn(value(i, p), H(i), n, turned_[i].data() + p * C * C, turned_step());
  }

  void forward_node(std::size_t i, Index p, Index n, bool training, Index first_row, std::uint64_t seed) {
    const Node& node = program_.nodes[i];
    const T* x = value(node.in0, p);
    T* out = value(node.out, p);
    const Index rows = H(node.out);
    switch (node.kind) {
      case NodeKind::linear: {
        const auto& w = program_.parameters[node.weight];
        const Packed& packed = packed_[node.weight];
        const bool has = uses_packed_ && packed.wanted;
        k.multiply({has ? packed.forward.data() : w.data, w.columns, 1, has}, data(node.bias), x, out,
                   w.rows, w.columns, n, false);
        break;
      }
      case NodeKind::activation:
        k.activate(Activation(node.number), T(node.p0), T(node.p1), x, out, rows, n);
        break;
      case NodeKind::combine:
        k.combine(x, node.in1 < 0 ? nullptr : value(node.in1, p), T(node.p0), T(node.p1), T(node.p2), out,
                  rows, n);
        break;
      case NodeKind::product:
        k.product(x, value(node.in1, p), out, rows, n, false);
        break;
      case NodeKind::copy:
        k.accumulate(x, T(1), out + node.number * C, H(node.in0), n, false);
        break;
      case NodeKind::scale:
        k.scale(x, data(node.weight), data(node.bias), rows / H(node.in0), out, rows, n);
        break;
      case NodeKind::dropout:
        if (!training) {
          k.accumulate(x, T(1), out, rows, n, false);
          break;
        }
        k.mask(mask_key(seed, node.number), node.p0, first_row, value(node.in1, p), rows, n);
        k.product(x, value(node.in1, p), out, rows, n, false);
        break;
      case NodeKind::layer_norm:
      case NodeKind::rms_norm:
        k.normalize(x, T(node.p0), node.kind == NodeKind::layer_norm, out, inverses_[i].data() + p * C, rows, n);
        break;
      case NodeKind::batch_norm:
        break;  // forward_rows
    }
  }

  void backward_node(std::size_t i, Index p, Index n) {
    const Node& node = program_.nodes[i];
    if (!needs_gradient_[node.out]) return;
    const T* g = slope(node.out, p);
    const Index rows = H(node.out);
    if (needs_gradient_[node.in0]) {
      T* dx = slope(node.in0, p);
      const bool add = adds_[i][0];
      switch (node.kind) {
        case NodeKind::linear: {
          // dx = W^T g: the same product, rows and columns of W exchanged.
          const auto& w = program_.parameters[node.weight];
          const Packed& packed = packed_[node.weight];
          const bool has = uses_packed_ && packed.wanted;
          k.multiply({has ? packed.backward.data() : w.data, 1, w.columns, has}, nullptr, g, dx, w.columns,
                     w.rows, n, add);
          break;
        }
        case NodeKind::activation:
          k.activate_backward(Activation(node.number), T(node.p0), T(node.p1), value(node.in0, p),
                              value(node.out, p), g, dx, rows, n, add);
          break;
        case NodeKind::combine:
          k.accumulate(g, T(node.p0), dx, rows, n, add);
          break;
        case NodeKind::product:
        case NodeKind::dropout:
          k.product(g, value(node.in1, p), dx, rows, n, add);
          break;
        case NodeKind::copy:
          k.accumulate(g + node.number * C, T(1), dx, H(node.in0), n, add);
          break;
        case NodeKind::scale:
          k.scale_backward(g, data(node.weight), rows / H(node.in0), dx, rows, n, add);
          break;
        case NodeKind::layer_norm:
        case NodeKind::rms_norm:
          k.normalize_backward(g, value(node.out, p), inverses_[i].data() + p * C,
                               node.kind == NodeKind::layer_norm, dx, rows, n, add);
          break;
        case NodeKind::batch_norm:
          break;  // backward_rows
      }
    }
    if (node.in1 < 0 || node.kind == NodeKind::dropout || !needs_gradient_[node.in1]) return;
    T* dy = slope(node.in1, p);
    if (node.kind == NodeKind::combine) k.accumulate(g, T(node.p1), dy, rows, n, adds_[i][1]);
    else k.product(g, value(node.in0, p), dy, rows, n, adds_[i][1]);
  }

  // A value needs a gradient where a trained parameter lies before it. Going backward, the first node
  // that reaches a value writes its gradient and the others add to it.
  void find_gradients() {
    needs_gradient_.assign(program_.heights.size(), 0);
    for (const Node& node : program_.nodes) {
      bool needs = needs_gradient_[node.in0] || (node.in1 >= 0 && needs_gradient_[node.in1]);
      for (int p : {node.weight, node.bias}) needs = needs || (p >= 0 && program_.parameters[p].trained);
      needs_gradient_[node.out] = needs_gradient_[node.out] || needs;
    }
    adds_.resize(program_.nodes.size());
    std::vector<char> reached(program_.heights.size(), 0);
    for (std::size_t i = program_.nodes.size(); i-- > 0;) {
      const Node& node = program_.nodes[i];
      for (int j = 0; j < 2; ++j) {
        const int in = j ? node.in1 : node.in0;
        if (in < 0) continue;
        adds_[i][j] = reached[in];
        reached[in] = reached[in] || needs_gradient_[node.out];
      }
    }
  }

  void find_segments() {
    std::size_t from = 0;
    for (std::size_t i = 0; i < program_.nodes.size(); ++i)
      if (program_.nodes[i].kind == NodeKind::batch_norm) {
        segments_.emplace_back(from, i);
        from = i + 1;
      }
    segments_.emplace_back(from, program_.nodes.size());
  }

 public:
  // Each dropout layer draws by a key of its own.
  static std::uint64_t mask_key(std::uint64_t seed, int layer) {
    return seed + 0x9E3779B97F4A7C15u * std::uint64_t(layer + 1);
  }
};

}  // namespace linnet
