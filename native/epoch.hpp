// An epoch, an evaluation and a prediction over a table: the loops around a network.
#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <functional>

#include "denormals.hpp"
#include "network.hpp"

namespace linnet {

struct EpochSpec {
  LossSpec loss;
  SolverKind solver;
  Index batch_size;
  double clip_norm = 0;   // 0 for none
  double clip_value = 0;
  int n_threads = 1;
  double deadline = INFINITY;  // seconds of std::chrono::steady_clock
};

struct EpochOutcome {
  double total_loss = 0;  // sum over rows
  double gradient_norm = 0;
  Index n_rows = 0, n_steps = 0;
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Train on every row of `order` (N) once. groups_of(step) gives the optimizer's groups for a step.
// `interrupted` is asked now and then by thread 0 and may throw; the epoch then ends after a whole
// step.
template <typename T>
EpochOutcome train_epoch(Network<T>& net, const Rows<T>& rows, const std::int64_t* order, Index n,
                         const EpochSpec& spec, const std::vector<std::vector<Group>>& groups,
                         const std::function<bool()>& interrupted) {
  const Index B = spec.batch_size;
  net.reserve(std::min(B, n), true, spec.n_threads);
  EpochOutcome outcome;
  Barrier barrier(spec.n_threads);
  std::atomic<bool> stop{false};
  const bool weighted = rows.weight != nullptr;
  run_team(spec.n_threads, [&](int t) {
    const FlushDenormals flush;
    double asked = now();
    std::size_t step = 0;
    for (Index first = 0; first < n; first += B, ++step) {
      const Index b = std::min(B, n - first), S = round_up(b);
      const auto [c0, c1] = share_columns(S, t, spec.n_threads);
      if (c0 < c1) {
        net.read(rows, order + first, b, S, c0, c1);
        net.forward(S, c0, c1, t);
        net.loss(spec.loss, weighted, b, S, c0, c1, true);
        net.backward(S, c0, c1, t);
      }
      barrier.wait();
      const bool last = first + B >= n;
      const bool with_norm = spec.clip_norm > 0 || last;
      net.weigh(S, t, spec.n_threads, with_norm);
      double shrink = 1;
      if (with_norm) {
        barrier.wait();
        const double norm = net.norm();
        // torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6), at most 1.
        if (spec.clip_norm > 0) shrink = std::min(1.0, spec.clip_norm / (norm + 1e-6));
        if (t == 0) outcome.gradient_norm = norm;
      }
      net.update(spec.solver, groups[std::min(step, groups.size() - 1)], double(step), shrink, t,
                 spec.n_threads);
      if (t == 0) {
        outcome.total_loss += net.total_loss(spec.loss, weighted, b);
        outcome.n_rows += b;
        const double time = now();
        if (time > spec.deadline) stop = true;
        if (time - asked > 0.05) {
          asked = time;
          if (interrupted()) stop = true;
        }
      }
      barrier.wait();
      if (t == 0) ++outcome.n_steps;
      if (stop) break;
    }
  });
  net.count_steps(double(outcome.n_steps));
  return outcome;
}

// Mean loss over a table, or with `out` (N, K) its outputs.
template <typename T>
double evaluate(Network<T>& net, const Rows<T>& rows, const LossSpec* loss, T* out, int n_threads) {
  const FlushDenormals flush;
  // Columns that keep a network of usual width in the second-level cache.
  const Index B = std::min(Index(512), rows.n);
  net.reserve(B, false, 1);
  std::vector<std::int64_t> order(B);
  double total = 0;
  const Index K = net.n_outputs();
  (void)n_threads;
  for (Index first = 0; first < rows.n; first += B) {
    const Index b = std::min(B, rows.n - first), S = round_up(b);
    for (Index i = 0; i < b; ++i) order[i] = first + i;
    net.read(rows, order.data(), b, S, 0, S);
    net.forward(S, 0, S, 0);
    if (loss) {
      net.loss(*loss, rows.weight != nullptr, b, S, 0, S, false);
      total += net.total_loss(*loss, rows.weight != nullptr, b);
    }
    if (out)
      for (Index k = 0; k < K; ++k)
        for (Index i = 0; i < b; ++i) out[(first + i) * K + k] = net.outputs()[k * S + i];
  }
  return total;
}

}  // namespace linnet
