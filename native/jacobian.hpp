// Least squares: J'J and J'r of the residuals of a network, J being their derivatives by the weights.
//
// A block of rows at a time. Its residuals lie in slots, one for each panel and output; J of a slot is
// (P, C), like a value of P units, so J'J is a weight gradient of a layer from P to P units and runs in
// the same kernels. It is split over bands of its rows: no sum is split among threads, so any number
// of them gives the same bits.
#pragma once

#include <cmath>
#include <vector>

#include "epoch.hpp"

namespace linnet {

template <typename T>
class Jacobian {
 public:
  // offsets: the first column of J of each parameter of the network, -1 for those that stay.
  Jacobian(Network<T>& net, std::vector<Index> offsets, Index P)
      : net_(net), offsets_(std::move(offsets)), P_(P), C(net.C), K(net.n_outputs()) {
    // Two copies of J's block, 1 MB of float64, and 64 rows at least: J'J is read and written once
    // for each block.
    n_panels_ = net.panels(std::max(Index(64), 65536 / (P_ * K)));
    const Index n_slots = n_panels_ * K;
    J_ = Buffer<T>(n_slots * P_ * C);
    turned_ = Buffer<T>(round_up(P_, C) * n_slots * C);
    r_ = Buffer<T>(n_slots * C);
    for (Index o = 0; o < P_; o += kBand) bands_.emplace_back(std::min(kBand, P_ - o) * (P_ - left(o)));
    net_.reserve(n_panels_, true);
    net_.use_packed(false, true);
  }

  // Returns r'r; JJ (P, P) and Jr (P) are overwritten. What an interruption leaves is of no use.
  double normal_equations(const Rows<T>& rows, T* JJ, T* Jr, int n_threads, const Interrupted& interrupted) {
    Barrier barrier(n_threads);
    std::atomic<bool> stop{false};
    double squares = 0;
    run_team(n_threads, [&](int t) {
      const FlushDenormals flush;
      Questioner questioner(interrupted);
      for (Index first = 0; first < rows.n && !stop; first += n_panels_ * C) {
        const Index b = std::min(n_panels_ * C, rows.n - first), S = net_.panels(b) * K * C;
        const auto [p0, p1] = share(net_.panels(b), t, n_threads);
        for (Index p = p0; p < p1; ++p) differentiate(rows, first + p * C, p, std::min(C, b - p * C));
        barrier.wait();
        multiply(S, first > 0, t, n_threads);
        const auto [h0, h1] = share(P_, t, n_threads);
        net_.k.row_sums(J_.data(), P_, r_.data(), P_, Jr, nullptr, h0, h1, S, first > 0, false);
        if (t == 0) {
          for (Index i = 0; i < S; ++i) squares += double(r_.data()[i]) * double(r_.data()[i]);
          if (questioner.stops()) stop = true;
        }
        barrier.wait();
      }
    });
    for (Index o = 0; o < P_; ++o) {
      const Index band = o / kBand, from = left(band * kBand), width = P_ - from;
      const T* row = bands_[band].data() + (o - band * kBand) * width;
      for (Index i = o; i < P_; ++i) JJ[o * P_ + i] = JJ[i * P_ + o] = row[i - from];
    }
    return squares;
  }

 private:
  static constexpr Index kBand = 24;  // rows of J'J that a thread takes at once
  Network<T>& net_;
  const std::vector<Index> offsets_;
  const Index P_, C, K;
  Index n_panels_;
  Buffer<T> J_, turned_, r_;
  std::vector<Buffer<T>> bands_;  // rows [o, o + kBand) of J'J, columns from left(o) on

  Index left(Index o) const { return o / C * C; }

  // r and J of b rows, in the slots of panel p.
  void differentiate(const Rows<T>& rows, Index first, Index p, Index b) {
    std::int64_t numbers[64];  // C is 32 at most
    for (Index i = 0; i < b; ++i) numbers[i] = first + i;
    net_.read(rows, numbers, p, b, false);
    net_.forward(0, p, C, false, 0, 0);
    const T *z = net_.outputs(p), *y = net_.targets(rows, p);
    const T* weight = rows.weight ? net_.weights(p) : nullptr;
    const auto root = [&](Index i) { return i >= b ? T(0) : weight ? std::sqrt(weight[i]) : T(1); };
    const int output = net_.output();
    for (Index k = 0; k < K; ++k) {
      const Index slot = p * K + k;
      T* g = net_.slope(output, p);
      std::fill(g, g + K * C, T(0));
      for (Index i = 0; i < C; ++i) {
        g[k * C + i] = root(i);
        r_.data()[slot * C + i] = i < b ? root(i) * (z[k * C + i] - y[k * C + i]) : T(0);
      }
      net_.backward(0, p, C);
      T* J = J_.data() + slot * P_ * C;
      fill(p, J);
      net_.k.turn(J, P_, C, turned_.data() + slot * C * C, turned_step());
    }
  }
  Index turned_step() const { return n_panels_ * K * C * C; }

  // J (P, C) of a panel whose gradients are there.
  void fill(Index p, T* J) {
    std::vector<char> written(offsets_.size(), 0);
    const auto at = [&](int parameter) -> T* {
      return parameter < 0 || offsets_[parameter] < 0 ? nullptr : J + offsets_[parameter] * C;
    };
    for (std::size_t i = net_.nodes().size(); i-- > 0;) {
      const Node& node = net_.nodes()[i];
      const bool has_weights = node.kind == NodeKind::linear || node.kind == NodeKind::scale;
      if (!has_weights || !net_.needs_gradient(node.out)) continue;
      const T *g = net_.slope(node.out, p), *x = net_.value(node.in0, p);
      const Index O = net_.H(node.out), I = net_.H(node.in0);
      if (T* w = at(node.weight)) {
        const bool add = written[node.weight]++;
        if (node.kind == NodeKind::linear) net_.k.spread(g, O, x, I, w, add);
        else
          for (Index h = 0; h < O; ++h)
            net_.k.product(g + h * C, x + h / (O / I) * C, w + h * C, 1, C, add);
      }
      if (T* bias = at(node.bias)) net_.k.accumulate(g, T(1), bias, O, C, written[node.bias]++);
    }
  }

  // J'J = or += over S columns of slots, the bands of thread t of n. Bands shrink downwards, so they
  // are dealt out forth and back.
  void multiply(Index S, bool add, int t, int n) {
    for (std::size_t j = 0; j < bands_.size(); ++j) {
      const int place = int(j) % n, turn = int(j) / n % 2 ? n - 1 - place : place;
      if (turn != t) continue;
      const Index o = Index(j) * kBand, from = left(o);
      net_.k.outer_turned(J_.data() + o * C, P_, turned_.data() + from / C * turned_step(), turned_step(),
                          P_ - from, bands_[j].data(), 0, std::min(kBand, P_ - o), S, add);
    }
  }
};

// The gradient of the mean loss over all rows, by the trained parameters, into `gradient` (P) at their
// offsets; returns the sum of the rows' losses. Blocks of rows are added in their order.
template <typename T>
double gradient(Network<T>& net, const Rows<T>& rows, const LossSpec<T>& loss, const std::vector<Index>& offsets,
                T* gradient, Index P, int n_threads, const Interrupted& interrupted) {
  constexpr Index kRowsOfBlock = 1024;
  const Index C = net.C, B = std::min(rows.n, kRowsOfBlock);
  net.reserve(net.panels(B), true);
  net.use_packed(true, true);
  Gradients<T> gradients(net);
  Barrier barrier(n_threads);
  std::atomic<bool> stop{false};
  std::vector<std::int64_t> order(rows.n);
  for (Index i = 0; i < rows.n; ++i) order[i] = i;
  const auto scale = loss_scale(loss, rows, order.data(), rows.n, net.n_outputs());
  double total = 0;
  std::fill(gradient, gradient + P, T(0));
  run_team(n_threads, [&](int t) {
    const FlushDenormals flush;
    Questioner questioner(interrupted);
    net.pack(t, n_threads, false);
    barrier.wait();
    for (Index first = 0; first < rows.n && !stop; first += B) {
      const Index b = std::min(B, rows.n - first);
      const auto rows_of = [&](Index p) { return std::min(C, b - p * C); };
      const auto [p0, p1] = share(net.panels(b), t, n_threads);
      for (Index p = p0; p < p1; ++p) {
        net.read(rows, order.data() + first + p * C, p, rows_of(p), true);
        net.forward(0, p, rows_of(p), true, 0, 0);
        net.loss(loss, rows, T(scale.gradient), p, rows_of(p), true);
        net.backward(0, p, rows_of(p));
      }
      barrier.wait();
      gradients.weigh(net.columns(b), t, n_threads, [] { return false; });
      barrier.wait();
      if (t == 0) {
        for (Index p = 0; p < net.panels(b); ++p) total += net.total_loss(rows, p, rows_of(p));
        for (std::size_t i = 0; i < offsets.size(); ++i) {
          if (offsets[i] < 0) continue;
          const auto& parameter = net.parameters()[i];
          const T* part = net.gradient(int(i));
          for (Index j = 0; j < parameter.rows * parameter.columns; ++j) gradient[offsets[i] + j] += part[j];
        }
        if (questioner.stops()) stop = true;
      }
      barrier.wait();
    }
  });
  return total * scale.total;
}

}  // namespace linnet
