// The letters of the native engine, the same as in Python and in the papers.
//
//   N rows, D inputs, H units of a layer, K outputs, P parameters, B rows of a batch,
//   I inputs of a linear layer, O its outputs.
//
// Activations are feature-major: a value of a layer is (H, S), row h holding unit h of every row of
// the batch, so that the batch lies along the vector lanes. S is B rounded up to whole vectors (the
// stride); columns B to S-1 are zero in inputs and in gradients, and belong to nobody.
#pragma once

#include <cstddef>
#include <cstdint>

namespace linnet {

using Index = std::ptrdiff_t;

// S is a multiple of this many numbers: a cache line of float32, two of float64.
constexpr Index kLane = 16;

constexpr Index round_up(Index n) { return (n + kLane - 1) / kLane * kLane; }

}  // namespace linnet
