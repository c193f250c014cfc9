// What the native tests share: checks, random numbers, and a network to try.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "epoch.hpp"

namespace linnet {
namespace {

int n_checks = 0, n_failures = 0;
std::string subject;  // what is being tested, for messages

void check(bool good, const std::string& what) {
  ++n_checks;
  if (good) return;
  if (++n_failures <= 20) std::printf("FAILED: %s: %s\n", subject.c_str(), what.c_str());
}
void check_close(double found, double expected, double tolerance, const std::string& what) {
  const bool same = found == expected || (std::isnan(found) && std::isnan(expected));
  check(same || std::fabs(found - expected) <= tolerance * (1 + std::fabs(expected)),
        what + ": " + std::to_string(found) + " instead of " + std::to_string(expected));
}

std::mt19937 generator(0);
Index pick(Index least, Index greatest) {
  return std::uniform_int_distribution<Index>(least, greatest)(generator);
}
template <typename T>
std::vector<T> random_numbers(Index n, double size = 1) {
  std::normal_distribution<double> normal(0, size);
  std::vector<T> numbers(n);
  for (T& x : numbers) x = T(normal(generator));
  return numbers;
}
template <typename T>
constexpr double kTolerance = sizeof(T) == 4 ? 2e-5 : 1e-12;

// Gradients (H, B) in panels, zero in columns past B.
template <typename T>
std::vector<T> random_panels(Index H, Index B, Index C, bool is_gradient) {
  auto panels = random_numbers<T>(round_up(B, C) * H);
  for (Index b = B; is_gradient && b < round_up(B, C); ++b)
    for (Index h = 0; h < H; ++h) panels[b / C * H * C + h * C + b % C] = 0;
  return panels;
}

// A network with every kind of node, whose memory lives here.
template <typename T>
struct Example {
  std::vector<std::vector<T>> memory;
  std::int64_t counter = 0;
  Program<T> program;
  Index N, K;
  std::vector<T> X, y, weight;
  std::vector<std::int64_t> order;

  int parameter(Index rows, Index columns, bool trained, double size = 0.5, double shift = 0) {
    Parameter<T> p;
    p.rows = rows;
    p.columns = columns;
    p.trained = trained;
    for (T** state : {&p.data, &p.m, &p.v, &p.vmax}) {
      memory.push_back(state == &p.data ? random_numbers<T>(rows * columns, size) : std::vector<T>(rows * columns));
      *state = memory.back().data();
    }
    for (Index i = 0; i < rows * columns; ++i) p.data[i] += T(shift);
    program.parameters.push_back(p);
    return int(program.parameters.size()) - 1;
  }
  int value(Index H) {
    program.heights.push_back(H);
    return int(program.heights.size()) - 1;
  }
  int add(Node node) {
    program.nodes.push_back(node);
    return node.out;
  }
  int linear(int in, Index O, bool bias = true) {
    const Index I = program.heights[in];
    const int out = value(O), w = parameter(O, I, true, 1 / std::sqrt(double(I)));
    return add({NodeKind::linear, in, -1, out, w, bias ? parameter(O, 1, true) : -1});
  }
  int unary(NodeKind kind, int in, double p0 = 0, double p1 = 0, double p2 = 0, int number = 0) {
    return add({kind, in, -1, value(program.heights[in]), -1, -1, number, p0, p1, p2});
  }

  explicit Example(bool with_batch_norm) {
    memory.reserve(200);
    const Index D = pick(1, 9), H = pick(1, 45);
    K = pick(1, 5);
    N = pick(3, 90);
    value(D);
    const int spread = value(D * 3);
    add({NodeKind::scale, 0, -1, spread, parameter(D, 3, true), parameter(D, 3, true)});
    const int waves = unary(NodeKind::activation, spread, 0, 0, 0, int(Activation::cos));
    const int both = value(D * 4);
    add({NodeKind::copy, 0, -1, both, -1, -1, 0});
    add({NodeKind::copy, waves, -1, both, -1, -1, int(D)});
    int h = linear(both, H);
    if (with_batch_norm) {
      const int mean = parameter(H, 1, false), variance = parameter(H, 1, false, 0.1, 2);
      h = add({NodeKind::batch_norm, h, -1, value(H), mean, variance, 0, 1e-5, 0.1});
      const int out = value(H);
      h = add({NodeKind::scale, h, -1, out, parameter(H, 1, true, 0.1, 1), parameter(H, 1, true)});
    }
    h = unary(NodeKind::activation, h, 0, 0, 0, int(Activation::silu));
    h = unary(pick(0, 1) ? NodeKind::layer_norm : NodeKind::rms_norm, h, 1e-5);
    const int branch = unary(NodeKind::activation, linear(h, H, false), 0, 0, 0, int(Activation::tanh));
    h = add({NodeKind::combine, h, branch, value(H), -1, -1, 0, 0.5, -1.5, 0.1});
    h = add({NodeKind::product, h, branch, value(H)});
    const int mask = value(H);
    h = add({NodeKind::dropout, h, mask, value(H), -1, -1, 0, 0.25});
    program.output = linear(h, K);
    X = random_numbers<T>(N * D);
    y = random_numbers<T>(N * K);
    weight = random_numbers<T>(N);
    for (T& w : weight) w = std::fabs(w);
    for (Index i = 0; i < N; ++i) order.push_back(i);
    std::shuffle(order.begin(), order.end(), generator);
  }
  Rows<T> rows() const { return {X.data(), y.data(), weight.data(), N, K}; }
};

template <typename T>
EpochSpec<T> epoch_spec(Index batch_size, int n_threads, SolverKind solver) {
  EpochSpec<T> spec;
  spec.solver = solver;
  spec.batch_size = batch_size;
  spec.n_threads = n_threads;
  spec.seed = 7;
  return spec;
}

}  // namespace
}  // namespace linnet
