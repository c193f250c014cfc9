// Tests of what a training step does after the forward: losses, clipping, updates, and the running
// statistics of batch normalisation, each against its plain formula.
#pragma once

#include "checks.hpp"
#include "plain.hpp"

namespace linnet {
namespace {

constexpr int kLosses = int(LossKind::gaussian) + 1;

// A loss with random knobs; the weights of classes or positive labels live in `classes`.
template <typename T>
LossSpec<T> random_loss(LossKind kind, Index K, std::vector<T>& classes) {
  LossSpec<T> spec;
  spec.kind = kind;
  const bool by_class = kind == LossKind::cross_entropy;
  spec.p0 = by_class ? T(0.3 * double(pick(0, 1))) : kind == LossKind::quantile ? T(0.2) : T(0.7);
  classes = random_numbers<T>(K);
  for (T& weight : classes) weight = std::fabs(weight) + T(0.1);
  if ((by_class || kind == LossKind::binary) && pick(0, 1)) spec.classes = classes.data();
  return spec;
}

// Targets that such a loss takes; numbers at the borders of what is allowed among them.
template <typename T>
void fit_targets(LossKind kind, Index K, std::vector<T>& y) {
  for (T& target : y) {
    if (kind == LossKind::cross_entropy) target = T(pick(0, K - 1));
    if (kind == LossKind::poisson) target = T(pick(0, 3));
    if (kind == LossKind::binary) target = T(0.5) * T(pick(0, 2));
  }
}

template <typename T>
void test_losses(const Kernels<T>& k) {
  for (int code = 0; code < kLosses; ++code) {
    const auto kind = LossKind(code);
    subject += " loss " + std::to_string(code);
    const Index K = pick(1, 5), C = k.columns, b = pick(1, C);
    const Index n_outputs = kind == LossKind::gaussian ? 2 * K : K;
    const Index n_targets = kind == LossKind::cross_entropy ? 1 : K;
    std::vector<T> classes;
    const auto spec = random_loss<T>(kind, K, classes);
    const auto z = random_numbers<T>(n_outputs * C, 1.5), weight = random_numbers<T>(C);
    auto y = random_numbers<T>(n_targets * C);
    fit_targets(kind, K, y);
    const bool weighted = pick(0, 1);
    const T scale = T(0.7);
    std::vector<T> losses(C), alone(C), g(n_outputs * C, T(9));
    k.loss(spec, z.data(), y.data(), weighted ? weight.data() : nullptr, scale, K, b, losses.data(), g.data());
    k.loss(spec, z.data(), y.data(), weighted ? weight.data() : nullptr, scale, K, b, alone.data(), nullptr);
    const std::vector<double> w(classes.begin(), classes.end());
    for (Index c = 0; c < b; ++c) {
      std::vector<double> outputs, targets;
      for (Index i = 0; i < n_outputs; ++i) outputs.push_back(double(z[i * C + c]));
      for (Index i = 0; i < n_targets; ++i) targets.push_back(double(y[i * C + c]));
      const auto plain_loss = [&] {
        return plain::loss(kind, double(spec.p0), spec.classes ? w.data() : nullptr, outputs.data(),
                           targets.data(), K);
      };
      check_close(double(losses[c]), plain_loss(), 10 * kTolerance<T>, "value");
      check(losses[c] == alone[c], "another value without the gradient");
      for (Index i = 0; i < n_outputs; ++i) {
        const double at = outputs[i], d = 1e-5, size = std::fabs(at - targets[i % n_targets]);
        if (size < 1e-3 || std::fabs(size - double(spec.p0)) < 1e-3) continue;  // a kink
        outputs[i] = at + d;
        const double up = plain_loss();
        outputs[i] = at - d;
        const double down = plain_loss();
        outputs[i] = at;
        // The kernels leave the division by K to the scale, except where classes share one loss.
        const double by = kind == LossKind::cross_entropy ? 1 : double(K);
        const double factor = by * double(scale) * (weighted ? double(weight[c]) : 1);
        check_close(double(g[i * C + c]), (up - down) / (2 * d) * factor, sizeof(T) == 4 ? 1e-4 : 1e-7, "slope");
      }
    }
    for (Index i = 0; i < n_outputs; ++i)
      for (Index c = b; c < round_up(b, k.vector); ++c) check(g[i * C + c] == 0, "a slope where no row is");
    subject = subject.substr(0, subject.find(" loss"));
  }
}

SolverKind random_solver(Group& group) {
  const auto kind = SolverKind(pick(0, 2));
  group.lr = 0.05;
  group.weight_decay = pick(0, 1) ? 0.1 : 0;
  group.maximize = pick(0, 1);
  group.momentum = pick(0, 3) ? 0.9 : 0;
  group.nesterov = group.momentum > 0 && pick(0, 1);
  group.dampening = group.momentum > 0 && !group.nesterov && pick(0, 1) ? 0.3 : 0;
  group.beta1 = 0.8, group.beta2 = 0.95, group.eps = 1e-3;
  group.amsgrad = pick(0, 1);
  return kind;
}

template <typename T>
void test_updates(const Kernels<T>& k) {
  const Index n = pick(1, 70);
  Step step;
  const auto kind = random_solver(step.group);
  step.shrink = pick(0, 1) ? 0.4 : 1;
  step.clip_value = pick(0, 1) ? 0.3 : 0;
  auto p = random_numbers<T>(n), m = std::vector<T>(n), v = m, vmax = m;
  std::vector<plain::State> expected;
  for (T number : p) expected.push_back({double(number)});
  for (int t = 1; t <= 4; ++t) {
    // Smaller each time, so that the greatest square of amsgrad is not the last one.
    const auto g = random_numbers<T>(n, 1.0 / (t * t));
    step.first = t == 1;
    step.correction1 = 1 - std::pow(step.group.beta1, t);
    step.correction2 = 1 - std::pow(step.group.beta2, t);
    k.update(kind, step, p.data(), g.data(), m.data(), v.data(), vmax.data(), n);
    for (Index i = 0; i < n; ++i) {
      const double limit = step.clip_value > 0 ? step.clip_value : INFINITY;
      const double slope = std::max(-limit, std::min(limit, double(g[i]) * step.shrink));
      plain::update(kind, step.group, t, slope, expected[i]);
      check_close(double(p[i]), expected[i].p, 10 * kTolerance<T>,
                  "solver " + std::to_string(int(kind)) + " at step " + std::to_string(t));
    }
  }
}

// Steps over the whole table of a network against plain ones along the gradient, which a step of SGD
// with rate 1 leaves in a twin: the counts of steps, clipping by norm and by value, the norm told.
void test_steps(const Kernels<double>& k) {
  const unsigned seed = generator();
  generator.seed(seed);
  Example<double> example(true);
  generator.seed(seed);
  Example<double> twin(true);
  Network<double> net(k, example.program, {&example.counter}), twin_net(k, twin.program, {&twin.counter});
  Group group, whole;
  whole.lr = 1;
  auto spec = epoch_spec<double>(example.N, int(pick(1, 2)), random_solver(group));
  spec.clip_norm = pick(0, 1) ? 0.5 : 0;
  spec.clip_value = pick(0, 1) ? 0.02 : 0;
  const auto train = [](Network<double>& of, const Example<double>& on, const EpochSpec<double>& how, const Group& by) {
    return train_epoch<double>(of, on.rows(), on.order.data(), on.N, how, {{by}}, [] { return false; });
  };
  const auto numbers = [](const Example<double>& of) {
    std::vector<double*> found;
    for (const auto& p : of.program.parameters)
      for (Index i = 0; p.trained && i < p.rows * p.columns; ++i) found.push_back(p.data + i);
    return found;
  };
  const auto found = numbers(example), copies = numbers(twin);
  std::vector<plain::State> expected;
  for (const double* number : found) expected.push_back({*number});
  for (int t = 1; t <= 3; ++t) {
    for (std::size_t i = 0; i < found.size(); ++i) *copies[i] = *found[i];
    train(twin_net, twin, epoch_spec<double>(twin.N, 1, SolverKind::sgd), whole);
    std::vector<double> g;
    double squares = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      g.push_back(*found[i] - *copies[i]);
      squares += g[i] * g[i];
    }
    const double norm = std::sqrt(squares);
    check_close(train(net, example, spec, group).gradient_norm, norm, 1e-9, "norm");
    const double shrink = spec.clip_norm > 0 ? std::min(1.0, spec.clip_norm / (norm + 1e-6)) : 1;
    const double limit = spec.clip_value > 0 ? spec.clip_value : INFINITY;
    for (std::size_t i = 0; i < g.size(); ++i) {
      plain::update(spec.solver, group, t, std::max(-limit, std::min(limit, g[i] * shrink)), expected[i]);
      check_close(*found[i], expected[i].p, 1e-8, "weight after step " + std::to_string(t));
    }
  }
}

// The running statistics after two batches, by a momentum and as a mean of all batches.
void test_batch_norm(const Kernels<double>& k) {
  Example<double> example(true);
  const bool is_mean = pick(0, 1);
  auto& nodes = example.program.nodes;
  Node& node = *std::find_if(nodes.begin(), nodes.end(), [](const Node& n) { return n.kind == NodeKind::batch_norm; });
  if (is_mean) node.p1 = -1;
  Network<double> net(k, example.program, {&example.counter});
  const Index H = net.H(node.in0), B = example.N;
  const double *mean = example.program.parameters[node.weight].data, *variance = example.program.parameters[node.bias].data;
  std::vector<double> means(mean, mean + H), variances(variance, variance + H);
  for (int batch = 1; batch <= 2; ++batch) {
    const auto spec = epoch_spec<double>(B, 2, SolverKind::sgd);
    train_epoch<double>(net, example.rows(), example.order.data(), B, spec, {{Group()}}, [] { return false; });
    const double rate = is_mean ? 1.0 / batch : 0.1;
    for (Index h = 0; h < H; ++h) {
      double sum = 0, squares = 0;
      for (Index b = 0; b < B; ++b) sum += plain::at(net.value(node.in0, 0), H, net.C, h, b);
      for (Index b = 0; b < B; ++b)
        squares += std::pow(plain::at(net.value(node.in0, 0), H, net.C, h, b) - sum / double(B), 2);
      means[h] += rate * (sum / double(B) - means[h]);
      variances[h] += rate * (squares / double(B - 1) - variances[h]);
      check_close(mean[h], means[h], 1e-12, "running mean");
      check_close(variance[h], variances[h], 1e-12, "running variance");
    }
    check(example.counter == batch, "the batches are not counted");
  }
}

// The loss over all rows, in evaluation and as an epoch of one batch tells it, by the plain formula.
void test_totals(const Kernels<double>& k) {
  for (int code = 0; code < kLosses; ++code) {
    const auto kind = LossKind(code);
    subject += " total of loss " + std::to_string(code);
    Example<double> example(false);
    const Index n_outputs = example.K * (kind == LossKind::gaussian ? 2 : 1), K = example.K;
    if (kind == LossKind::gaussian) example.program.output = example.linear(example.program.output, 2 * K);
    fit_targets(kind, K, example.y);
    std::vector<double> classes, outputs(example.N * n_outputs);
    auto spec = random_loss<double>(kind, K, classes);
    spec.sum = pick(0, 1);
    Rows<double> rows = example.rows();
    if (kind == LossKind::cross_entropy) rows.target_width = 1;
    if (pick(0, 1)) rows.weight = nullptr;
    for (auto& node : example.program.nodes)
      if (node.kind == NodeKind::dropout) node.p0 = 0;
    Network<double> net(k, example.program, {});
    const auto never = [] { return false; };
    const double total = evaluate<double>(net, rows, &spec, outputs.data(), 2, never);
    double sum = 0, counted = 0;
    for (Index i = 0; i < rows.n; ++i) {
      const double *y = rows.y + i * rows.target_width, weight = rows.weight ? rows.weight[i] : 1;
      sum += weight * plain::loss(kind, spec.p0, spec.classes, &outputs[i * n_outputs], y, K);
      counted += kind == LossKind::cross_entropy && spec.classes ? weight * spec.classes[Index(y[0])] : 1;
    }
    const double N = double(rows.n);
    const double expected = !spec.sum ? sum / counted * N : kind == LossKind::cross_entropy ? sum : sum * double(K);
    check_close(total, expected, 1e-10, "evaluation");
    auto epoch = epoch_spec<double>(rows.n, 1, SolverKind::sgd);
    epoch.loss = spec;
    const auto told = train_epoch<double>(net, rows, example.order.data(), rows.n, epoch, {{Group()}}, never);
    check_close(told.total_loss, expected, 1e-10, "epoch");
    subject = subject.substr(0, subject.find(" total"));
  }
}

}  // namespace
}  // namespace linnet
