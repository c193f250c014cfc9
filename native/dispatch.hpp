// Which table of kernels serves this processor; LINNET_INSTRUCTION_SET forces one, for tests.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "cpu.hpp"
#include "kernels.hpp"

namespace linnet {

// The name of the table in use.
inline std::string kernels_in_use() {
  const auto offered = instruction_sets();
  const char* forced = std::getenv("LINNET_INSTRUCTION_SET");
  std::string best = "plain", all = "plain";
  for (const auto& name : offered) {
    if (forced && name == forced) return name;
    best = name;
    all += ", " + name;
  }
  if (forced && std::string(forced) == "plain") return "plain";
  if (forced)
    throw std::invalid_argument("LINNET_INSTRUCTION_SET=" + std::string(forced) +
                                " is not offered by this processor. It offers " + all +
                                "; leave it unset for the best.");
  return best;
}

template <typename T>
const Kernels<T>& kernels_by_name(const std::string& name) {
  constexpr bool is_float = sizeof(T) == 4;
#define LINNET_PICK(level)                                        \
  if constexpr (is_float) return level##_float();                 \
  else return level##_double();
#ifdef LINNET_HAS_X86_LEVELS
  if (name == "x86-64-v4") { LINNET_PICK(v4) }
  if (name == "x86-64-v3") { LINNET_PICK(v3) }
  if (name == "x86-64-v2") { LINNET_PICK(v2) }
#endif
  (void)name;
  LINNET_PICK(plain)
#undef LINNET_PICK
}

}  // namespace linnet
