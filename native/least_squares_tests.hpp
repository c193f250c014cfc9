// Tests of J'J, J'r and of the gradient over all rows: a network of one hidden layer, whose Jacobian is
// a formula.
#pragma once

#include <cstring>

#include "checks.hpp"
#include "jacobian.hpp"
#include "plain.hpp"

namespace linnet {
namespace {

template <typename T>
void test_spread(const Kernels<T>& k) {
  const Index O = pick(1, 9), I = pick(1, 9), C = k.columns;
  const bool add = pick(0, 1);
  const auto g = random_numbers<T>(O * C), x = random_numbers<T>(I * C);
  auto dW = random_numbers<T>(O * I * C);
  const auto before = dW;
  k.spread(g.data(), O, x.data(), I, dW.data(), add);
  for (Index o = 0; o < O; ++o)
    for (Index i = 0; i < I; ++i)
      for (Index c = 0; c < C; ++c) {
        const Index at = (o * I + i) * C + c;
        const double expected = plain::at(g.data(), O, C, o, c) * plain::at(x.data(), I, C, i, c);
        check_close(double(dW[at]), expected + (add ? double(before[at]) : 0), kTolerance<T>, "spread");
      }
}

// z = V tanh(W x + b) + c, weights in this order in the vector that J is by.
inline void test_normal_equations(const Kernels<double>& k) {
  const Index D = pick(1, 4), H = pick(1, 30), K = pick(1, 3), N = pick(1, 300);
  std::vector<std::vector<double>> weights{random_numbers<double>(H * D), random_numbers<double>(H),
                                           random_numbers<double>(K * H), random_numbers<double>(K)};
  const auto X = random_numbers<double>(N * D), y = random_numbers<double>(N * K);
  auto weight = random_numbers<double>(N);
  for (double& w : weight) w = std::fabs(w);
  const Rows<double> rows{X.data(), y.data(), pick(0, 1) ? weight.data() : nullptr, N, K};
  Program<double> program;
  program.heights = {D, H, H, K};
  program.output = 3;
  const Index shapes[4][2] = {{H, D}, {H, 1}, {K, H}, {K, 1}};
  std::vector<Index> offsets;
  Index P = 0;
  for (int i = 0; i < 4; ++i) {
    Parameter<double> p;
    p.data = weights[i].data(), p.rows = shapes[i][0], p.columns = shapes[i][1], p.trained = true;
    program.parameters.push_back(p);
    offsets.push_back(P);
    P += p.rows * p.columns;
  }
  program.nodes = {{NodeKind::linear, 0, -1, 1, 0, 1},
                   {NodeKind::activation, 1, -1, 2, -1, -1, int(Activation::tanh)},
                   {NodeKind::linear, 2, -1, 3, 2, 3}};

  std::vector<double> JJ(P * P), Jr(P);
  double squares = 0;
  for (Index n = 0; n < N; ++n) {
    const double root = rows.weight ? std::sqrt(weight[n]) : 1.0;
    std::vector<double> a(H);
    for (Index h = 0; h < H; ++h) {
      double sum = weights[1][h];
      for (Index d = 0; d < D; ++d) sum += weights[0][h * D + d] * X[n * D + d];
      a[h] = std::tanh(sum);
    }
    for (Index o = 0; o < K; ++o) {
      std::vector<double> J(P);
      double z = weights[3][o];
      for (Index h = 0; h < H; ++h) {
        const double slope = weights[2][o * H + h] * (1 - a[h] * a[h]);
        for (Index d = 0; d < D; ++d) J[h * D + d] = root * slope * X[n * D + d];
        J[offsets[1] + h] = root * slope;
        J[offsets[2] + o * H + h] = root * a[h];
        z += weights[2][o * H + h] * a[h];
      }
      J[offsets[3] + o] = root;
      const double r = root * (z - y[n * K + o]);
      squares += r * r;
      for (Index i = 0; i < P; ++i) {
        Jr[i] += J[i] * r;
        for (Index j = 0; j < P; ++j) JJ[i * P + j] += J[i] * J[j];
      }
    }
  }
  const auto never = [] { return false; };
  std::vector<double> first;
  for (int n_threads = 1; n_threads <= 3; ++n_threads) {
    Network<double> net(k, program, {});
    Jacobian<double> jacobian(net, offsets, P);
    std::vector<double> found(P * P + 2 * P + 1);
    double *found_JJ = found.data(), *found_Jr = found_JJ + P * P, *slope = found_Jr + P;
    found[P * P + 2 * P] = jacobian.normal_equations(rows, found_JJ, found_Jr, n_threads, never);
    const LossSpec<double> loss;
    gradient<double>(net, rows, loss, offsets, slope, P, n_threads, never);
    const double tolerance = 1e-11 * double(N);
    if (n_threads == 1) {
      first = found;
      check_close(found[P * P + 2 * P], squares, tolerance, "sum of squares");
      for (Index i = 0; i < P * P; ++i) check_close(found_JJ[i], JJ[i], tolerance, "J'J");
      for (Index i = 0; i < P; ++i) {
        check_close(found_Jr[i], Jr[i], tolerance, "J'r");
        check_close(slope[i], 2 * Jr[i] / double(N * K), tolerance, "gradient over all rows");
      }
    }
    check(std::memcmp(first.data(), found.data(), found.size() * sizeof(double)) == 0,
          "other bits of J'J with " + std::to_string(n_threads) + " threads");
  }
}

}  // namespace
}  // namespace linnet
