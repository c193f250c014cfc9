// The letters of the native engine, the same as in Python and in the papers, and how a batch lies in
// memory.
//
//   N rows, D inputs, H units of a layer, K outputs, P parameters, B rows of a batch,
//   I inputs of a linear layer, O its outputs, W numbers of a vector, C = 2 W columns of a panel.
//
// Activations are feature-major and cut into panels. A value of H units for B rows is ceil(B / C)
// panels; each is (H, C), contiguous, its row h holding unit h of C rows of the batch. So rows of the
// batch lie along the vector lanes, and a panel passes through a whole network within the first cache.
// Of the last panel only whole vectors are computed. Their columns past B repeat row B - 1, so that
// they are finite where it is, and their gradients are zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace linnet {

using Index = std::ptrdiff_t;

constexpr Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

}  // namespace linnet
