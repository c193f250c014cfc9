// A network as a list of nodes over numbered values, and the rows that it is given.
#pragma once

#include <stdexcept>
#include <vector>

#include "kernels.hpp"

namespace linnet {

// Codes shared with src/linnet/engine/program.py. H units of `out`, x = in0, y = in1:
enum class NodeKind : int {
  linear,      // out = weight x + bias
  activation,  // out = f(x)
  combine,     // out = p0 x + p1 y + p2; y may be missing
  product,     // out = x y
  copy,        // rows [number, number + H of x) of out = x
  scale,       // out[h] = x[h / F] weight[h] + bias[h], F = H / (H of x)
  dropout,     // out = x mask, with mask = y drawn at rate p0 for layer `number`; x in evaluation
  layer_norm,  // each column of x to mean 0 and variance 1, p0 = eps
  batch_norm,  // each row over the batch; weight and bias are the running mean and variance, p1 the
               // momentum (below 0: a mean of all batches); number is its counter of batches
  rms_norm,    // each column of x over its root mean square, p0 = eps
};

struct Node {
  NodeKind kind;
  int in0, in1, out;          // numbers of values; in1 is -1 where there is none
  int weight = -1, bias = -1;  // numbers of parameters
  int number = 0;             // an activation's code, or as above
  double p0 = 0, p1 = 0, p2 = 0;
};

template <typename T>
struct Parameter {
  T* data = nullptr;            // the caller's
  Index rows = 0, columns = 0;  // (O, I); a bias is (O, 1)
  bool trained = false;
  int group = 0;
  T *m = nullptr, *v = nullptr, *vmax = nullptr;  // state of the optimizer, the caller's
  double step = 0;                                // steps done
  float* count = nullptr;                         // the optimizer's own count of them, or null
};

template <typename T>
struct Program {
  std::vector<Index> heights;  // H of each value; value 0 is the input
  std::vector<Node> nodes;
  int output = 0;
  std::vector<Parameter<T>> parameters;
};

// A table of rows (N, D), its targets (N, K) and weights (N) or null; the caller's memory.
template <typename T>
struct Rows {
  const T* X;
  const T* y;
  const T* weight;
  Index n, target_width;
};

// The program comes from Python; memory is trusted to it only after this.
template <typename T>
void check(const Program<T>& program, std::size_t n_counters) {
  const auto& H = program.heights;
  const auto value = [&](int i) { return i >= 0 && i < int(H.size()); };
  const auto sized = [&](int i, Index size, bool may_miss) {
    if (i < 0) return may_miss;
    return i < int(program.parameters.size()) &&
           program.parameters[i].rows * program.parameters[i].columns == size;
  };
  const auto fits = [&](const Node& node) {
    if (!value(node.in0) || !value(node.out) || node.in1 >= int(H.size())) return false;
    if (node.out == node.in0 || node.out == node.in1 || node.out == 0) return false;
    const Index in = H[node.in0], out = H[node.out];
    switch (node.kind) {
      case NodeKind::linear:
        return sized(node.weight, in * out, false) && sized(node.bias, out, true) &&
               program.parameters[node.weight].rows == out;
      case NodeKind::activation:
        return in == out && node.number >= 0 && node.number <= int(kLastActivation);
      case NodeKind::combine:
        return in == out && (node.in1 < 0 || H[node.in1] == out);
      case NodeKind::product:
      case NodeKind::dropout:
        return in == out && node.in1 >= 0 && H[node.in1] == out;
      case NodeKind::copy:
        return node.number >= 0 && node.number + in <= out;
      case NodeKind::scale:
        return in > 0 && out % in == 0 && sized(node.weight, out, false) && sized(node.bias, out, true);
      case NodeKind::layer_norm:
      case NodeKind::rms_norm:
        return in == out;
      case NodeKind::batch_norm:
        return in == out && sized(node.weight, out, false) && sized(node.bias, out, false) &&
               node.number >= 0 && std::size_t(node.number) < n_counters;
    }
    return false;
  };
  bool good = !H.empty() && value(program.output);
  for (Index h : H) good = good && h > 0;
  for (const Node& node : program.nodes) good = good && fits(node);
  if (!good) throw std::invalid_argument("the program of the network does not fit its sizes");
}

}  // namespace linnet
