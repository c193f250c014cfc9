// The native module linnet._native as Python sees it: the only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "compiler.hpp"
#include "cpu.hpp"

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.doc() = "The native part of linnet.";

  m.def("instruction_sets", &linnet::instruction_sets,
        "Names of the instruction sets that this processor and its operating system offer, the\n"
        "oldest first: those of 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', or 'neon' on arm64.");

  m.def("compiled_with", &linnet::compiled_with,
        "Name and version of the compiler that built this module, such as 'GCC 12.2.0'.");
}
