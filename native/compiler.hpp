// The name and version of the compiler that built the native module.
#pragma once

#include <string>

namespace linnet {

// Clang is asked first: it also defines __GNUC__.
inline std::string compiled_with() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#elif defined(_MSC_VER)
  return "MSVC " + std::to_string(_MSC_VER);
#else
  return "an unknown compiler";
#endif
}

}  // namespace linnet
