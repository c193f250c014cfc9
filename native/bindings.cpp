// The native module linnet._native as Python sees it: the only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "compiler.hpp"
#include "cpu.hpp"
#include "dispatch.hpp"
#include "epoch.hpp"

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
using Order = nb::ndarray<const std::int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

// kind, in0, in1, out, weight, bias, activation, p0, p1
using NodeTuple = std::tuple<int, int, int, int, int, int, int, double, double>;
// lr, weight_decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad, maximize
using GroupTuple = std::tuple<double, double, double, double, double, double, double, bool, bool, bool>;

// A network over arrays that Python owns, which are kept alive here.
template <typename T>
class Bound {
 public:
  Bound(std::vector<Index> heights, const std::vector<NodeTuple>& nodes, int output,
        std::vector<Matrix<T>> parameters, const std::vector<bool>& trained,
        const std::vector<int>& groups)
      : arrays_(std::move(parameters)) {
    std::vector<Parameter<T>> list;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      Parameter<T> p;
      p.data = arrays_[i].data();
      p.rows = Index(arrays_[i].shape(0));
      p.columns = Index(arrays_[i].shape(1));
      p.trained = trained.at(i);
      p.group = groups.at(i);
      list.push_back(p);
    }
    std::vector<Node> program;
    for (const auto& [kind, in0, in1, out, weight, bias, activation, p0, p1] : nodes)
      program.push_back({NodeKind(kind), in0, in1, out, weight, bias, Activation(activation), p0, p1});
    check(heights, program, output, list);
    net_ = std::make_unique<Network<T>>(kernels_by_name<T>(kernels_in_use()), std::move(heights),
                                        std::move(program), output, std::move(list));
  }

  // Give the optimizer's state of parameter i: arrays of its shape, or None.
  void set_state(std::size_t i, std::optional<Matrix<T>> m, std::optional<Matrix<T>> v,
                 std::optional<Matrix<T>> vmax, double step) {
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
  }
  void clear_states() { states_.clear(); }

  std::tuple<double, double, Index, Index> train_epoch(
      Table<T> X, Table<T> y, std::optional<Column<T>> weight, Order order, int loss, double p0,
      bool sum, int solver, const std::vector<std::vector<GroupTuple>>& groups, Index batch_size,
      double clip_norm, int n_threads, double seconds_left) {
    const Rows<T> rows = table(X, &y, weight);
    for (std::size_t i = 0; i < order.shape(0); ++i)
      if (order.data()[i] < 0 || order.data()[i] >= rows.n)
        throw std::out_of_range("a row number is not in the table");
    EpochSpec spec;
    spec.loss = {LossKind(loss), p0, sum};
    spec.solver = SolverKind(solver);
    spec.batch_size = std::max(Index(1), batch_size);
    spec.clip_norm = clip_norm;
    spec.n_threads = std::max(1, n_threads);
    spec.deadline = now() + seconds_left;
    std::vector<std::vector<Group>> steps;
    for (const auto& step : groups) {
      steps.emplace_back();
      for (const auto& [lr, decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad,
                        maximize] : step)
        steps.back().push_back(
            {lr, decay, momentum, dampening, beta1, beta2, eps, nesterov, amsgrad, maximize});
    }
    bool interrupted = false;
    EpochOutcome outcome;
    {
      nb::gil_scoped_release release;
      outcome = train_epoch_(rows, order, spec, steps, interrupted);
    }
    if (interrupted) throw nb::python_error();
    return {outcome.total_loss, outcome.gradient_norm, outcome.n_rows, outcome.n_steps};
  }

  double evaluate(Table<T> X, Table<T> y, std::optional<Column<T>> weight, int loss, double p0,
                  bool sum) {
    const Rows<T> rows = table(X, &y, weight);
    const LossSpec spec{LossKind(loss), p0, sum};
    nb::gil_scoped_release release;
    return linnet::evaluate<T>(*net_, rows, &spec, nullptr, 1);
  }

  void predict(Table<T> X, Matrix<T> out) {
    const Rows<T> rows = table(X, nullptr, std::nullopt);
    if (Index(out.shape(0)) != rows.n || Index(out.shape(1)) != net_->n_outputs())
      throw std::invalid_argument("out does not have the shape (N, K)");
    nb::gil_scoped_release release;
    linnet::evaluate<T>(*net_, rows, nullptr, out.data(), 1);
  }

 private:
  std::vector<Matrix<T>> arrays_, states_;
  std::unique_ptr<Network<T>> net_;

  EpochOutcome train_epoch_(const Rows<T>& rows, const Order& order, const EpochSpec& spec,
                            const std::vector<std::vector<Group>>& steps, bool& interrupted) {
    return linnet::train_epoch<T>(*net_, rows, order.data(), Index(order.shape(0)), spec, steps,
                                  [&interrupted] {
                                    nb::gil_scoped_acquire acquire;
                                    interrupted = PyErr_CheckSignals() != 0;
                                    return interrupted;
                                  });
  }

  Rows<T> table(const Table<T>& X, const Table<T>* y, const std::optional<Column<T>>& weight) const {
    Rows<T> rows{X.data(), y ? y->data() : nullptr, weight ? weight->data() : nullptr,
                 Index(X.shape(0)), y ? Index(y->shape(1)) : 0};
    if (Index(X.shape(1)) != net_->n_inputs()) throw std::invalid_argument("X does not have D columns");
    if (y && Index(y->shape(0)) != rows.n) throw std::invalid_argument("y does not have N rows");
    if (weight && Index(weight->shape(0)) != rows.n)
      throw std::invalid_argument("weight does not have N rows");
    if (y && rows.target_width > net_->n_outputs())
      throw std::invalid_argument("y has more columns than the network outputs");
    return rows;
  }

  // The program comes from Python; memory is trusted to it only after this.
  static void check(const std::vector<Index>& heights, const std::vector<Node>& nodes, int output,
                    const std::vector<Parameter<T>>& parameters) {
    const int n = int(heights.size());
    const auto value = [n](int i) { return i >= 0 && i < n; };
    bool good = n > 0 && value(output);
    for (const Node& node : nodes) {
      good = good && value(node.in0) && value(node.out) && node.in1 < n;
      if (!good) break;
      if (node.kind == NodeKind::linear) {
        good = good && node.weight >= 0 && node.weight < int(parameters.size()) &&
               node.bias < int(parameters.size());
        if (!good) break;
        const auto& w = parameters[node.weight];
        good = w.rows == heights[node.out] && w.columns == heights[node.in0] &&
               (node.bias < 0 || parameters[node.bias].rows == w.rows);
      } else {
        good = good && heights[node.in0] == heights[node.out] &&
               (node.in1 < 0 || heights[node.in1] == heights[node.out]);
      }
      if (!good) break;
    }
    if (!good) throw std::invalid_argument("the program of the network does not fit its sizes");
  }
};

template <typename T>
void bind_network(nb::module_& m, const char* name) {
  nb::class_<Bound<T>>(m, name, "A network that trains in place on arrays that Python owns.")
      .def(nb::init<std::vector<Index>, const std::vector<NodeTuple>&, int, std::vector<Matrix<T>>,
                    const std::vector<bool>&, const std::vector<int>&>(),
           "heights"_a, "nodes"_a, "output"_a, "parameters"_a, "trained"_a, "groups"_a)
      .def("set_state", &Bound<T>::set_state, "parameter"_a, "m"_a.none(), "v"_a.none(),
           "vmax"_a.none(), "step"_a)
      .def("clear_states", &Bound<T>::clear_states)
      .def("train_epoch", &Bound<T>::train_epoch, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "order"_a.noconvert(), "loss"_a, "p0"_a, "sum"_a,
           "solver"_a, "groups"_a, "batch_size"_a, "clip_norm"_a, "n_threads"_a, "seconds_left"_a)
      .def("evaluate", &Bound<T>::evaluate, "X"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "loss"_a, "p0"_a, "sum"_a)
      .def("predict", &Bound<T>::predict, "X"_a.noconvert(), "out"_a.noconvert());
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

  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
}
