// The table of kernels for one instruction set. Compiled once for each, with its own -march;
// LINNET_LEVEL is its name, LINNET_BYTES the width of its registers.
#include <type_traits>

#include "activations.hpp"
#include "kernels.hpp"
#include "losses.hpp"
#include "products.hpp"
#include "updates.hpp"

namespace linnet {

namespace {
template <typename T>
const Kernels<T>& table() {
  static const Kernels<T> kernels{gather<T>, multiply<T>, outer<T>,  activate<T>, activate_backward<T>,
                                  loss<T>,   update<T>,   squares<T>};
  return kernels;
}
}  // namespace

#define LINNET_NAME2(level, type) level##_##type
#define LINNET_NAME(level, type) LINNET_NAME2(level, type)
const Kernels<float>& LINNET_NAME(LINNET_LEVEL, float)() { return table<float>(); }
const Kernels<double>& LINNET_NAME(LINNET_LEVEL, double)() { return table<double>(); }

}  // namespace linnet
