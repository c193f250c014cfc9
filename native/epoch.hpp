// An epoch, an evaluation and a prediction over a table: the loops around a network.
#pragma once

#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <limits>

#include "denormals.hpp"
#include "gradients.hpp"

namespace linnet {

template <typename T>
struct EpochSpec {
  LossSpec<T> loss;
  SolverKind solver;
  Index batch_size;
  double clip_norm = 0;  // 0 for none
  double clip_value = 0;
  std::uint64_t seed = 0;  // of dropout
  int n_threads = 1;
  double deadline = INFINITY;  // seconds of std::chrono::steady_clock
};

struct EpochOutcome {
  double total_loss = 0;  // sum over batches of their loss, times their rows where it is a mean
  double gradient_norm = 0;
  Index n_rows = 0, n_steps = 0;
  bool is_finite = true;  // whether all trained weights are, after the last step
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Asked now and then by the calling thread; true ends the work. A step that has not yet changed the
// weights is given up.
using Interrupted = std::function<bool()>;

// Asks at most every 50 ms; a deadline passed stops at once.
class Questioner {
 public:
  explicit Questioner(const Interrupted& interrupted) : interrupted_(interrupted), asked_(now()) {}
  bool stops(double deadline = INFINITY) {
    const double time = now();
    if (time > deadline) return true;
    if (time - asked_ < 0.05) return false;
    asked_ = time;
    return interrupted_();
  }

 private:
  const Interrupted& interrupted_;
  double asked_;
};

// What the gradient of a batch's loss is scaled by: 1 / B of a mean, or 1 / (B K) of elements, or with
// weights of classes 1 over their sum; and what the sum of its row losses counts in the epoch's total.
struct LossScale {
  double gradient, total;
};
template <typename T>
LossScale loss_scale(const LossSpec<T>& spec, const Rows<T>& rows, const std::int64_t* order, Index b,
                        Index n_outputs) {
  const Index K = spec.kind == LossKind::gaussian ? n_outputs / 2 : n_outputs;
  const bool by_class = spec.kind == LossKind::cross_entropy;
  if (spec.sum) return {1, by_class ? 1.0 : double(K)};
  if (!by_class) return {1.0 / (double(b) * double(K)), 1};
  if (!spec.classes) return {1.0 / double(b), 1};
  double counted = 0;
  for (Index i = 0; i < b; ++i) {
    const double weight = rows.weight ? double(rows.weight[order[i]]) : 1.0;
    counted += double(spec.classes[Index(rows.y[order[i]])]) * weight;
  }
  // As src/linnet/losses.py: a batch of weightless rows has loss 0.
  if (rows.weight) counted = std::max(counted, double(std::numeric_limits<T>::min()));
  return {1.0 / counted, std::min(double(b) / counted, std::numeric_limits<double>::max())};
}

// Train on every row of `order` (n) once. groups holds the optimizer's groups at each step, or once
// for all.
template <typename T>
EpochOutcome train_epoch(Network<T>& net, const Rows<T>& rows, const std::int64_t* order, Index n,
                         const EpochSpec<T>& spec, const std::vector<std::vector<Group>>& groups,
                         const Interrupted& interrupted) {
  const Index B = std::min(spec.batch_size, n), C = net.C;
  net.reserve(net.panels(B), true);
  net.use_packed(true, true);
  Gradients<T> gradients(net);
  EpochOutcome outcome;
  Barrier barrier(spec.n_threads);
  std::atomic<bool> stop{false};
  const std::size_t last = net.n_segments() - 1;
  // A step that may take a tenth of a second is asked within its sums too.
  const bool is_long = B * net.work() > 500'000'000;
  run_team(spec.n_threads, [&](int t) {
    const FlushDenormals flush;
    const int n_threads = spec.n_threads;
    Questioner questioner(interrupted);
    net.pack(t, n_threads, false);
    barrier.wait();
    std::size_t step = 0;
    for (Index first = 0; first < n; first += B, ++step) {
      const std::int64_t* batch = order + first;
      const Index b = std::min(B, n - first);
      const auto [p0, p1] = share(net.panels(b), t, n_threads);
      const auto rows_of = [&](Index p) { return std::min(C, b - p * C); };
      const auto scale = loss_scale(spec.loss, rows, batch, b, net.n_outputs());
      for (std::size_t s = 0; s <= last; ++s) {
        for (Index p = p0; p < p1 && !stop; ++p) {
          if (t == 0 && questioner.stops()) stop = true;
          if (s == 0) net.read(rows, batch + p * C, p, rows_of(p), true);
          else net.turn_after_rows(s - 1, p, rows_of(p));
          net.forward(s, p, rows_of(p), true, first + p * C, spec.seed);
          if (s < last) continue;
          net.loss(spec.loss, rows, T(scale.gradient), p, rows_of(p), true);
          net.backward(s, p, rows_of(p));
        }
        barrier.wait();
        if (s == last) break;
        net.forward_rows(s, t, n_threads, b);
        barrier.wait();
      }
      for (std::size_t s = last; s-- > 0;) {
        net.backward_rows(s, t, n_threads, b);
        barrier.wait();
        for (Index p = p0; p < p1; ++p) net.backward(s, p, rows_of(p));
        barrier.wait();
      }
      if (stop) break;
      gradients.weigh(net.columns(b), t, n_threads, [&] {
        if (is_long && t == 0 && questioner.stops()) stop = true;
        return bool(stop);
      });
      if (is_long) {
        barrier.wait();
        if (stop) break;
      }
      double shrink = 1;
      if (spec.clip_norm > 0 || first + B >= n) {
        gradients.square(t, n_threads);
        barrier.wait();
        const double norm = gradients.norm();
        // torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6), at most 1.
        if (spec.clip_norm > 0) shrink = std::min(1.0, spec.clip_norm / (norm + 1e-6));
        if (t == 0) outcome.gradient_norm = norm;
      }
      gradients.update(spec.solver, groups[std::min(step, groups.size() - 1)], double(step), shrink,
                       spec.clip_value, t, n_threads);
      if (net.packs()) {
        barrier.wait();
        net.pack(t, n_threads, true);
      }
      if (t == 0) {
        double total = 0;
        for (Index p = 0; p < net.panels(b); ++p) total += net.total_loss(rows, p, rows_of(p));
        outcome.total_loss += total * scale.total;
        outcome.n_rows += b;
        ++outcome.n_steps;
        net.count_batch();
        if (questioner.stops(spec.deadline)) stop = true;
      }
      barrier.wait();
      if (stop) break;
    }
  });
  for (auto& p : net.parameters()) {
    if (!p.trained) continue;
    p.step += double(outcome.n_steps);
    if (p.count) *p.count += float(outcome.n_steps);
    const Index n = p.rows * p.columns;
    // The squares of finite numbers may overflow; then each is asked.
    outcome.is_finite = outcome.is_finite && (std::isfinite(net.k.squares(p.data, n)) ||
                                              std::all_of(p.data, p.data + n, [](T x) { return std::isfinite(x); }));
  }
  return outcome;
}

// The sum over the rows of a table of their losses, or with `out` (N, K) the outputs. Threads take
// blocks of rows in turn; the losses of a block are added in the order of rows, and the blocks in
// theirs. An interruption leaves the rest undone.
template <typename T>
double evaluate(Network<T>& net, const Rows<T>& rows, const LossSpec<T>* loss, T* out, int n_threads,
                const Interrupted& interrupted) {
  constexpr Index kBlock = 256;
  const Index C = net.C, K = net.n_outputs(), n_blocks = round_up(rows.n, kBlock) / kBlock;
  // To start a thread takes as long as some million multiply-adds.
  const Index worth = 1 + rows.n * net.work() / 4'000'000;
  n_threads = int(std::max(Index(1), std::min({Index(n_threads), n_blocks, worth})));
  net.reserve(n_threads, false);
  net.use_packed(rows.n >= 64, false);
  Barrier barrier(n_threads);
  std::atomic<Index> next{0};
  std::atomic<bool> stop{false};
  std::vector<double> totals(n_blocks);
  std::vector<double> counted(n_blocks);
  run_team(n_threads, [&](int t) {
    const FlushDenormals flush;
    Questioner questioner(interrupted);
    if (rows.n >= 64) net.pack(t, n_threads, false);
    barrier.wait();
    for (Index block = next++; block < n_blocks && !stop; block = next++) {
      const Index end = std::min(rows.n, (block + 1) * kBlock);
      for (Index first = block * kBlock; first < end; first += C) {
        const Index b = std::min(C, end - first);
        std::int64_t order[64];  // C is 32 at most
        for (Index i = 0; i < b; ++i) order[i] = first + i;
        net.read(rows, order, t, b, false);
        for (std::size_t s = 0; s < net.n_segments(); ++s) {
          net.forward(s, t, b, false, 0, 0);
          if (s + 1 < net.n_segments()) net.forward_rows_evaluating(s, t, b);
        }
        if (loss) {
          net.loss(*loss, rows, T(1), t, b, false);
          totals[block] += net.total_loss(rows, t, b);
          counted[block] += double(b) / loss_scale(*loss, rows, order, b, K).total;
        }
        const T* outputs = net.outputs(t);
        if (out)
          for (Index k = 0; k < K; ++k)
            for (Index i = 0; i < b; ++i) out[(first + i) * K + k] = outputs[k * C + i];
      }
      if (t == 0 && questioner.stops()) stop = true;
    }
  });
  double total = 0, all = 0;
  for (Index block = 0; block < n_blocks; ++block) {
    total += totals[block];
    all += counted[block];
  }
  // A mean over rows comes as a sum over rows, whatever the blocks: N times total / all.
  return loss ? total * double(rows.n) / all : 0;
}

}  // namespace linnet
