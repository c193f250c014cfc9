// The native module linnet._native as Python sees it: the only file that knows Python.
#include <nanobind/eval.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "compiler.hpp"
#include "cpu.hpp"
#include "dispatch.hpp"
#include "jacobian.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace linnet;

namespace {

template <typename T>
using Matrix = nb::ndarray<T, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Table = nb::ndarray<const T, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Column = nb::ndarray<const T, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using Counter = nb::ndarray<std::int64_t, nb::shape<1>, nb::c_contig, nb::device::cpu>;
using Count = nb::ndarray<float, nb::shape<1>, nb::c_contig, nb::device::cpu>;
using Order = nb::ndarray<const std::int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

// kind, in0, in1, out, weight, bias, number, p0, p1, p2
using NodeTuple = std::tuple<int, int, int, int, int, int, int, double, double, double>;
// lr, weight_decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad, maximize
using GroupTuple = std::tuple<double, double, double, double, double, double, double, bool, bool, bool>;
// loss, p0, weights of classes, whether it is a sum
template <typename T>
using LossTuple = std::tuple<int, double, std::optional<Column<T>>, bool>;

// A network over arrays that Python owns, which are kept alive here.
template <typename T>
class Bound {
 public:
  Bound(std::vector<Index> heights, const std::vector<NodeTuple>& nodes, int output,
        std::vector<Matrix<T>> parameters, const std::vector<bool>& trained,
        const std::vector<int>& groups, std::vector<Counter> counters, nb::object pause)
      : arrays_(std::move(parameters)), counters_(std::move(counters)), pause_(std::move(pause)) {
    Program<T> program;
    program.heights = std::move(heights);
    program.output = output;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      Parameter<T> p;
      p.data = arrays_[i].data();
      p.rows = Index(arrays_[i].shape(0));
      p.columns = Index(arrays_[i].shape(1));
      p.trained = trained.at(i);
      p.group = groups.at(i);
      n_groups_ = std::max(n_groups_, std::size_t(p.group) + 1);
      program.parameters.push_back(p);
    }
    for (const auto& [kind, in0, in1, out, weight, bias, number, p0, p1, p2] : nodes)
      program.nodes.push_back({NodeKind(kind), in0, in1, out, weight, bias, number, p0, p1, p2});
    check(program, counters_.size());
    std::vector<std::int64_t*> counts;
    for (auto& counter : counters_) counts.push_back(counter.data());
    net_ = std::make_unique<Network<T>>(kernels_by_name<T>(kernels_in_use()), std::move(program),
                                        std::move(counts));
  }

  // Give the optimizer's state of parameter i: arrays of its shape, or None, the steps done, and the
  // optimizer's own count of them, or None.
  void set_state(std::size_t i, std::optional<Matrix<T>> m, std::optional<Matrix<T>> v,
                 std::optional<Matrix<T>> vmax, double step, std::optional<Count> count) {
    auto& p = net_->parameters().at(i);
    auto take = [&](std::optional<Matrix<T>>& given) -> T* {
      if (!given) return nullptr;
      if (Index(given->shape(0)) != p.rows || Index(given->shape(1)) != p.columns)
        throw std::invalid_argument("the optimizer's state does not have its parameter's shape");
      states_.push_back(*given);
      return given->data();
    };
    p.m = take(m);
    p.v = take(v);
    p.vmax = take(vmax);
    p.step = step;
    p.count = count ? count->data() : nullptr;
    if (count) counts_.push_back(*count);
  }
  void clear_states() {
    for (auto& p : net_->parameters()) p.m = p.v = p.vmax = nullptr, p.count = nullptr;
    states_.clear();
    counts_.clear();
  }

  std::tuple<double, double, Index, Index, bool> train_epoch(
      Table<T> X, Table<T> y, std::optional<Column<T>> weight, Order order, const LossTuple<T>& loss,
      int solver, const std::vector<std::vector<GroupTuple>>& groups, Index batch_size, double clip_norm,
      double clip_value, std::uint64_t seed, int n_threads, double seconds_left) {
    const Rows<T> rows = table(X, &y, weight);
    for (std::size_t i = 0; i < order.shape(0); ++i)
      if (order.data()[i] < 0 || order.data()[i] >= rows.n)
        throw std::out_of_range("a row number is not in the table");
    EpochSpec<T> spec;
    spec.loss = loss_spec(loss, y);
    spec.solver = SolverKind(solver);
    spec.batch_size = std::max(Index(1), batch_size);
    spec.clip_norm = clip_norm;
    spec.clip_value = clip_value;
    spec.seed = seed;
    spec.n_threads = std::max(1, n_threads);
    spec.deadline = now() + seconds_left;
    std::vector<std::vector<Group>> steps;
    for (const auto& step : groups) {
      steps.emplace_back();
      for (const auto& [lr, decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad,
                        maximize] : step)
        steps.back().push_back(
            {lr, decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad, maximize});
      if (steps.back().size() < n_groups_) throw std::invalid_argument("a group is missing");
    }
    if (steps.empty()) throw std::invalid_argument("the groups are missing");
    check_states(spec.solver, steps);
    const EpochOutcome outcome = without_gil(
        [&](const Interrupted& asked) {
          return linnet::train_epoch<T>(*net_, rows, order.data(), Index(order.shape(0)), spec, steps,
                                        asked);
        });
    return {outcome.total_loss, outcome.gradient_norm, outcome.n_rows, outcome.n_steps,
            outcome.is_finite};
  }

  double evaluate(Table<T> X, Table<T> y, std::optional<Column<T>> weight, const LossTuple<T>& loss,
                  int n_threads) {
    const Rows<T> rows = table(X, &y, weight);
    const LossSpec<T> spec = loss_spec(loss, y);
    return without_gil([&](const Interrupted& asked) {
      return linnet::evaluate<T>(*net_, rows, &spec, nullptr, n_threads, asked);
    });
  }

  void predict(Table<T> X, Matrix<T> out, int n_threads) {
    const Rows<T> rows = table(X, nullptr, std::nullopt);
    if (Index(out.shape(0)) != rows.n || Index(out.shape(1)) != net_->n_outputs())
      throw std::invalid_argument("out does not have the shape (N, K)");
    without_gil([&](const Interrupted& asked) {
      return linnet::evaluate<T>(*net_, rows, nullptr, out.data(), n_threads, asked);
    });
  }

  double normal_equations(Table<T> X, Table<T> y, std::optional<Column<T>> weight,
                          const std::vector<Index>& offsets, Matrix<T> JJ, Matrix<T> Jr, int n_threads) {
    const Rows<T> rows = table(X, &y, weight);
    if (Index(y.shape(1)) != net_->n_outputs()) throw std::invalid_argument("y does not have K columns");
    const Index P = Index(Jr.shape(0));
    check_offsets(offsets, P);
    if (Index(Jr.shape(1)) != 1 || Index(JJ.shape(0)) != P || Index(JJ.shape(1)) != P)
      throw std::invalid_argument("JJ does not have the shape (P, P), or Jr (P, 1)");
    return without_gil([&](const Interrupted& asked) {
      Jacobian<T> jacobian(*net_, offsets, P);
      return jacobian.normal_equations(rows, JJ.data(), Jr.data(), std::max(1, n_threads), asked);
    });
  }

  double gradient(Table<T> X, Table<T> y, std::optional<Column<T>> weight, const LossTuple<T>& loss,
                  const std::vector<Index>& offsets, Matrix<T> out, int n_threads) {
    const Rows<T> rows = table(X, &y, weight);
    const LossSpec<T> spec = loss_spec(loss, y);
    const Index P = Index(out.shape(0));
    check_offsets(offsets, P);
    if (Index(out.shape(1)) != 1) throw std::invalid_argument("out does not have the shape (P, 1)");
    return without_gil([&](const Interrupted& asked) {
      return linnet::gradient<T>(*net_, rows, spec, offsets, out.data(), P, std::max(1, n_threads), asked);
    });
  }

  // Raise what a signal's handler raised while the last call ran, if one did.
  void raise_interruption() {
    if (!interruption_) return;
    nb::python_error error = std::move(*interruption_);
    interruption_.reset();
    throw error;
  }

 private:
  std::vector<Matrix<T>> arrays_, states_;
  std::vector<Counter> counters_;
  std::vector<Count> counts_;
  std::size_t n_groups_ = 1;
  std::unique_ptr<Network<T>> net_;
  std::optional<nb::python_error> interruption_;
  nb::object pause_;  // called every now and then; what it raises ends the work

  template <typename F>
  auto without_gil(F work) {
    nb::gil_scoped_release release;
    return work([this] {
      nb::gil_scoped_acquire acquire;
      // Signals are for the main thread; whether another thread is to end its work, `pause` asks.
      PyObject* ran = PyErr_CheckSignals() == 0 ? PyObject_CallNoArgs(pause_.ptr()) : nullptr;
      Py_XDECREF(ran);
      if (ran != nullptr) return false;
      interruption_.emplace();  // takes the exception that was raised
      return true;
    });
  }

  // Where each parameter lies among P numbers; -1 for one that is not trained.
  void check_offsets(const std::vector<Index>& offsets, Index P) const {
    bool good = offsets.size() == net_->parameters().size() && net_->n_segments() == 1;
    for (std::size_t i = 0; good && i < offsets.size(); ++i) {
      const auto& p = net_->parameters()[i];
      good = offsets[i] < 0 ? offsets[i] == -1 : p.trained && offsets[i] + p.rows * p.columns <= P;
    }
    if (!good) throw std::invalid_argument("the offsets do not fit the parameters");
  }

  LossSpec<T> loss_spec(const LossTuple<T>& given, const Table<T>& y) const {
    const auto& [kind, p0, classes, sum] = given;
    LossSpec<T> spec{LossKind(kind), T(p0), classes ? classes->data() : nullptr, sum};
    const Index K = net_->n_outputs(), width = Index(y.shape(1));
    const bool by_class = spec.kind == LossKind::cross_entropy;
    if (width != (by_class ? 1 : spec.kind == LossKind::gaussian ? K / 2 : K) ||
        (spec.kind == LossKind::gaussian && K % 2))
      throw std::invalid_argument("y does not have the columns that the loss compares");
    if (classes && Index(classes->shape(0)) != K)
      throw std::invalid_argument("the weights of the classes are not K");
    if (by_class)
      for (std::size_t i = 0; i < y.shape(0); ++i)
        if (!(y.data()[i] >= 0 && y.data()[i] < T(K)))
          throw std::out_of_range("a class number is not below K");
    return spec;
  }

  void check_states(SolverKind solver, const std::vector<std::vector<Group>>& steps) const {
    for (const auto& p : net_->parameters()) {
      if (!p.trained) continue;
      const Group& group = steps[0][p.group];
      const bool fits = solver == SolverKind::sgd ? group.momentum == 0 || p.m
                                                  : p.m && p.v && (!group.amsgrad || p.vmax);
      if (!fits) throw std::invalid_argument("the optimizer's state is missing");
    }
  }

  Rows<T> table(const Table<T>& X, const Table<T>* y, const std::optional<Column<T>>& weight) const {
    Rows<T> rows{X.data(), y ? y->data() : nullptr, weight ? weight->data() : nullptr,
                 Index(X.shape(0)), y ? Index(y->shape(1)) : 0};
    if (Index(X.shape(1)) != net_->n_inputs()) throw std::invalid_argument("X does not have D columns");
    if (y && Index(y->shape(0)) != rows.n) throw std::invalid_argument("y does not have N rows");
    if (weight && Index(weight->shape(0)) != rows.n)
      throw std::invalid_argument("weight does not have N rows");
    return rows;
  }
};

// The mask that dropout layer `layer` draws for `n_rows` rows of an epoch, (n_rows, n_units).
template <typename T>
void dropout_mask(std::uint64_t seed, int layer, double rate, Matrix<T> out) {
  const auto& k = kernels_by_name<T>(kernels_in_use());
  const Index N = Index(out.shape(0)), H = Index(out.shape(1)), C = k.columns;
  std::vector<T> panel(H * C);
  for (Index first = 0; first < N; first += C) {
    k.mask(Network<T>::mask_key(seed, layer), rate, first, panel.data(), H, C);
    for (Index i = 0; i < std::min(C, N - first); ++i)
      for (Index h = 0; h < H; ++h) out.data()[(first + i) * H + h] = panel[h * C + i];
  }
}

template <typename T>
void bind_network(nb::module_& m, const char* name) {
  nb::class_<Bound<T>>(m, name, "A network that trains in place on arrays that Python owns.")
      .def(nb::init<std::vector<Index>, const std::vector<NodeTuple>&, int, std::vector<Matrix<T>>,
                    const std::vector<bool>&, const std::vector<int>&, std::vector<Counter>, nb::object>(),
           "heights"_a, "nodes"_a, "output"_a, "parameters"_a, "trained"_a, "groups"_a, "counters"_a, "pause"_a)
      .def("set_state", &Bound<T>::set_state, "parameter"_a, "m"_a.none(), "v"_a.none(),
           "vmax"_a.none(), "step"_a, "count"_a.noconvert().none())
      .def("clear_states", &Bound<T>::clear_states)
      .def("train_epoch", &Bound<T>::train_epoch, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "order"_a.noconvert(), "loss"_a, "solver"_a, "groups"_a,
           "batch_size"_a, "clip_norm"_a, "clip_value"_a, "seed"_a, "n_threads"_a, "seconds_left"_a)
      .def("evaluate", &Bound<T>::evaluate, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "loss"_a, "n_threads"_a)
      .def("predict", &Bound<T>::predict, "X"_a.noconvert(), "out"_a.noconvert(), "n_threads"_a)
      .def("normal_equations", &Bound<T>::normal_equations, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "offsets"_a, "JJ"_a.noconvert(), "Jr"_a.noconvert(), "n_threads"_a)
      .def("gradient", &Bound<T>::gradient, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "loss"_a, "offsets"_a, "out"_a.noconvert(), "n_threads"_a)
      .def("raise_interruption", &Bound<T>::raise_interruption);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native part of linnet.";

  m.def("instruction_sets", &linnet::instruction_sets,
        "Names of the instruction sets that this processor and its operating system offer, the\n"
        "oldest first: those of 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', or 'neon' on arm64.");

  m.def("compiled_with", &linnet::compiled_with,
        "Name and version of the compiler that built this module, such as 'GCC 12.2.0'.");

  m.def("kernels_in_use", &linnet::kernels_in_use,
        "Name of the instruction set whose kernels train.");

  m.def("dropout_mask", &dropout_mask<float>, "seed"_a, "layer"_a, "rate"_a, "out"_a.noconvert(),
        "Fill `out` (N, H) with the mask by which dropout layer `layer` multiplies the H units of\n"
        "each of the N rows of an epoch: 0, or 1 / (1 - rate).");
  m.def("dropout_mask", &dropout_mask<double>, "seed"_a, "layer"_a, "rate"_a, "out"_a.noconvert());

  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
}
