// The native tests: each kernel of each instruction set against its plain twin, on random shapes, and
// whole networks with any number of threads, by finite differences and against plain steps.
// `make sanitize` runs them under the address, undefined-behaviour and thread sanitizers; no Python is
// needed.
#include <cstdlib>
#include <cstring>

#include "checks.hpp"
#include "dispatch.hpp"
#include "least_squares_tests.hpp"
#include "plain.hpp"
#include "row_tests.hpp"
#include "step_tests.hpp"

using namespace linnet;

namespace {

template <typename T>
void test_multiply(const Kernels<T>& k) {
  const Index R = pick(1, 40), K = pick(1, 50), C = k.columns, n = pick(1, 2) * k.vector;
  const bool turned = pick(0, 1), packed = pick(0, 1), add = pick(0, 1), has_bias = !add && pick(0, 1);
  const auto a = random_numbers<T>(R * K), bias = random_numbers<T>(R), x = random_numbers<T>(K * C);
  const Weights<T> weights{a.data(), turned ? 1 : K, turned ? R : 1, false};
  auto z = random_numbers<T>(R * C);
  const auto before = z;
  std::vector<T> copy(round_up(R, k.block) * K);
  Weights<T> read = weights;
  if (packed) {
    const Index blocks = round_up(R, k.block) / k.block;
    k.pack(weights, R, K, 0, blocks, copy.data());
    read = {copy.data(), K, 1, true};
  }
  k.multiply(read, has_bias ? bias.data() : nullptr, x.data(), z.data(), R, K, n, add);
  for (Index r = 0; r < R; ++r)
    for (Index c = 0; c < C; ++c) {
      const double expected =
          plain::multiply(weights, has_bias ? bias.data() : nullptr, x.data(), K, C, r, c) +
          (add ? double(before[r * C + c]) : 0);
      check_close(double(z[r * C + c]), c < n ? expected : double(before[r * C + c]),
                  K * kTolerance<T>, "multiply");
    }
}

template <typename T>
void test_outer(const Kernels<T>& k) {
  const Index O = pick(1, 30), I = pick(1, 40), B = pick(1, 70), C = k.columns, S = round_up(B, k.vector);
  const Index o0 = pick(0, O - 1), o1 = pick(o0, O);
  const bool add = pick(0, 1);
  const auto g = random_panels<T>(O, B, C, true), x = random_panels<T>(I, B, C, false);
  const Index panels = round_up(B, C) / C, step = panels * C * C;
  std::vector<T> turned(round_up(I, C) / C * step);
  for (Index p = 0; p < panels; ++p)
    k.turn(x.data() + p * I * C, I, std::min(C, S - p * C), turned.data() + p * C * C, step);
  auto dW = random_numbers<T>(O * I), by_turned = dW;
  const auto before = dW;
  k.outer(g.data(), O, x.data(), I, dW.data(), o0, o1, S, add);
  k.outer_turned(g.data(), O, turned.data(), step, I, by_turned.data(), o0, o1, S, add);
  for (Index o = 0; o < O; ++o)
    for (Index i = 0; i < I; ++i) {
      const double old = double(before[o * I + i]);
      const double expected = plain::outer(g.data(), O, x.data(), I, C, B, o, i) + (add ? old : 0);
      for (const auto* found : {&dW, &by_turned})
        check_close(double((*found)[o * I + i]), o >= o0 && o < o1 ? expected : old, B * kTolerance<T>,
                    "outer");
    }
  std::vector<T> dw(O), db(O);
  const Index F = O % 3 == 0 ? 3 : 1;
  const auto spread = random_panels<T>(O / F, B, C, false);
  k.row_sums(g.data(), O, spread.data(), F, dw.data(), db.data(), o0, o1, S, false, false);
  for (Index o = o0; o < o1; ++o) {
    double with_x = 0, alone = 0;
    for (Index b = 0; b < B; ++b) {
      alone += plain::at(g.data(), O, C, o, b);
      with_x += plain::at(g.data(), O, C, o, b) * plain::at(spread.data(), O / F, C, o / F, b);
    }
    check_close(double(dw[o]), with_x, B * kTolerance<T>, "row_sums with x");
    check_close(double(db[o]), alone, B * kTolerance<T>, "row_sums");
  }
}

template <typename T>
void test_activations(const Kernels<T>& k) {
  const Index H = pick(1, 9), C = k.columns;
  for (int code = 0; code <= int(kLastActivation); ++code) {
    const auto kind = Activation(code);
    subject += " activation " + std::to_string(code);
    const bool is_clip = kind == Activation::hardtanh;
    const double p0 = is_clip ? -0.7 : 1.3, p1 = is_clip ? 0.4 : 20;
    auto z = random_numbers<T>(H * C, code % 2 ? 3 : 12);
    std::vector<T> a(H * C), slope(H * C), one(H * C, T(1));
    k.activate(kind, T(p0), T(p1), z.data(), a.data(), H, C);
    k.activate_backward(kind, T(p0), T(p1), z.data(), a.data(), one.data(), slope.data(), H, C, false);
    for (Index i = 0; i < H * C; ++i) {
      const double at = double(z[i]), d = 1e-6;
      check_close(double(a[i]), plain::activation(kind, at, p0, p1), 10 * kTolerance<T>, "value");
      if (std::fabs(at) < 1e-3 || std::fabs(at - p0) < 1e-3 || std::fabs(at - p1) < 1e-3) continue;
      const double up = plain::activation(kind, at + d, p0, p1), down = plain::activation(kind, at - d, p0, p1);
      check_close(double(slope[i]), (up - down) / (2 * d), 1e-4, "slope at " + std::to_string(at));
    }
    // Extremes: NaN stays, and where the function has a limit the kernel reaches it.
    const T edges[] = {T(NAN), T(INFINITY), T(-INFINITY), T(1e30), T(-1e30), T(0), T(-0.0), T(1e-30)};
    for (T edge : edges) {
      std::fill(z.begin(), z.end(), edge);
      k.activate(kind, T(p0), T(p1), z.data(), a.data(), H, C);
      if (std::isnan(edge)) check(std::isnan(a[0]), "NaN is lost");
      const bool known = kind != Activation::sin && kind != Activation::cos && std::isfinite(edge);
      if (known) check_close(double(a[0]), plain::activation(kind, double(edge), p0, p1), kTolerance<T>, "edge");
    }
    subject = subject.substr(0, subject.find(" activation"));
  }
}

template <typename T>
void test_threads(const Kernels<T>& k) {
  const unsigned seed = generator();
  std::vector<T> first;
  double first_loss = 0;
  for (int n_threads : {1, 2, 3, 8}) {
    generator.seed(seed);
    Example<T> example(pick(0, 1));
    const Index B = pick(2, 40);
    Network<T> net(k, example.program, {&example.counter});
    Group group;
    group.lr = 0.01, group.beta1 = 0.9, group.beta2 = 0.999, group.eps = 1e-8;
    auto spec = epoch_spec<T>(B, n_threads, SolverKind::adam);
    spec.clip_norm = 0.3;
    const auto never = [] { return false; };
    for (int epoch = 0; epoch < 2; ++epoch)
      train_epoch<T>(net, example.rows(), example.order.data(), example.N, spec, {{group}}, never);
    const LossSpec<T> loss;
    const double total = evaluate<T>(net, example.rows(), &loss, nullptr, n_threads, never);
    std::vector<T> end;
    for (const auto& p : example.program.parameters) end.insert(end.end(), p.data, p.data + p.rows * p.columns);
    if (n_threads == 1) first = end, first_loss = total;
    check(std::memcmp(first.data(), end.data(), end.size() * sizeof(T)) == 0,
          "other bits with " + std::to_string(n_threads) + " threads");
    check(total == first_loss, "another loss with " + std::to_string(n_threads) + " threads");
  }
}

// One step of plain SGD with rate 1 over the whole table leaves minus the gradient in the weights.
void test_gradients(const Kernels<double>& k) {
  const unsigned seed = generator();
  const auto never = [] { return false; };
  const auto loss_after = [&](int parameter, Index i, double shift, std::vector<double>* step) {
    generator.seed(seed);
    Example<double> example(true);
    Network<double> net(k, example.program, {&example.counter});
    if (parameter >= 0) example.program.parameters[parameter].data[i] += shift;
    std::vector<std::vector<double>> before;
    for (const auto& p : example.program.parameters) before.emplace_back(p.data, p.data + p.rows * p.columns);
    Group group;
    group.lr = step ? 1 : 0;
    const auto spec = epoch_spec<double>(example.N, 1, SolverKind::sgd);
    const auto outcome =
        train_epoch<double>(net, example.rows(), example.order.data(), example.N, spec, {{group}}, never);
    for (std::size_t p = 0; step && p < before.size(); ++p)
      for (std::size_t j = 0; j < before[p].size(); ++j)
        step[p].push_back(before[p][j] - example.program.parameters[p].data[j]);
    return outcome.total_loss / double(example.N);
  };
  std::vector<std::vector<double>> gradient(64);
  loss_after(-1, 0, 0, gradient.data());
  generator.seed(seed);
  const Example<double> example(true);
  for (std::size_t p = 0; p < example.program.parameters.size(); ++p) {
    if (!example.program.parameters[p].trained) continue;
    const Index i = Index(gradient[p].size()) / 2;
    const double d = 1e-6;
    const double slope = (loss_after(int(p), i, d, nullptr) - loss_after(int(p), i, -d, nullptr)) / (2 * d);
    check_close(gradient[p][i], slope, 1e-6, "gradient of parameter " + std::to_string(p));
  }
}

template <typename T>
void test_all(const std::string& level, int repeats) {
  const auto& k = kernels_by_name<T>(level);
  subject = level + (sizeof(T) == 4 ? " float32" : " float64");
  for (int i = 0; i < repeats; ++i) {
    test_multiply(k);
    test_outer(k);
    test_spread(k);
    test_gather_and_scale(k);
    test_mask(k);
    test_normalize(k);
    test_normalize_rows(k);
    test_activations(k);
    test_losses(k);
    test_updates(k);
    if (i % 4 == 0) test_threads(k);
    if constexpr (sizeof(T) == 8)
      if (i % 4 == 0) test_gradients(k), test_steps(k), test_batch_norm(k), test_totals(k),
            test_normal_equations(k);
  }
}

}  // namespace

int main(int n_arguments, char** arguments) {
  const int repeats = n_arguments > 1 ? std::atoi(arguments[1]) : 100;
#ifdef LINNET_TEST_EVERY_LEVEL  // its kernels are compiled for instructions that are here
  const std::vector<std::string> levels{"plain", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
#else
  auto levels = instruction_sets();
  levels.insert(levels.begin(), "plain");
#endif
  for (const auto& level : levels) {
    test_all<float>(level, repeats);
    test_all<double>(level, repeats);
    std::printf("%s: tested\n", level.c_str());
  }
  std::printf("%d passed, %d failed\n", n_checks - n_failures, n_failures);
  return n_failures ? 1 : 0;
}
