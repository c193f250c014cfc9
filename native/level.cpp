// The table of kernels for one instruction set. Compiled once for each, with its own -march;
// LINNET_LEVEL is its name, LINNET_BYTES the width of its registers.
#include "activations.hpp"
#include "losses.hpp"
#include "products.hpp"
#include "rows.hpp"
#include "updates.hpp"

namespace linnet {

namespace {
template <typename T>
const Kernels<T>& table() {
  static const Kernels<T> kernels{kColumns<T>,
                                  kWidth<T>,
                                  kRows,
                                  gather<T>,
                                  turn<T>,
                                  multiply<T>,
                                  pack<T>,
                                  outer<T>,
                                  outer_turned<T>,
                                  spread<T>,
                                  row_sums<T>,
                                  activate<T>,
                                  activate_backward<T>,
                                  combine<T>,
                                  accumulate<T>,
                                  product<T>,
                                  scale<T>,
                                  scale_backward<T>,
                                  mask<T>,
                                  normalize<T>,
                                  normalize_backward<T>,
                                  normalize_rows<T>,
                                  normalize_rows_backward<T>,
                                  loss<T>,
                                  update<T>,
                                  squares<T>};
  return kernels;
}
}  // namespace

#define LINNET_NAME2(level, type) level##_##type
#define LINNET_NAME(level, type) LINNET_NAME2(level, type)
const Kernels<float>& LINNET_NAME(LINNET_LEVEL, float)() { return table<float>(); }
const Kernels<double>& LINNET_NAME(LINNET_LEVEL, double)() { return table<double>(); }

}  // namespace linnet
