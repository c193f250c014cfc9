// The kernels that go along a panel (gather, scale, mask, normalize) beside their plain twins.
#pragma once

#include "checks.hpp"
#include "plain.hpp"

namespace linnet {
namespace {

template <typename T>
void test_gather_and_scale(const Kernels<T>& k) {
  const Index C = k.columns, D = pick(1, 40), N = pick(1, 50), b = pick(1, C);
  const auto X = random_numbers<T>(N * D);
  std::vector<std::int64_t> rows(b);
  for (auto& row : rows) row = pick(0, N - 1);
  std::vector<T> x(D * C);
  k.gather(X.data(), D, rows.data(), b, x.data());
  for (Index d = 0; d < D; ++d)
    for (Index c = 0; c < C; ++c)
      check(x[d * C + c] == X[rows[std::min(c, b - 1)] * D + d], "gather");

  const Index F = pick(1, 3), H = D * F;
  const bool has_bias = pick(0, 1), add = pick(0, 1);
  const auto w = random_numbers<T>(H), bias = random_numbers<T>(H), g = random_numbers<T>(H * C);
  std::vector<T> out(H * C);
  auto dx = random_numbers<T>(D * C);
  const auto before = dx;
  k.scale(x.data(), w.data(), has_bias ? bias.data() : nullptr, F, out.data(), H, C);
  k.scale_backward(g.data(), w.data(), F, dx.data(), H, C, add);
  for (Index d = 0; d < D; ++d)
    for (Index c = 0; c < C; ++c) {
      double slope = add ? double(before[d * C + c]) : 0;
      for (Index h = d * F; h < (d + 1) * F; ++h) {
        const double shift = has_bias ? double(bias[h]) : 0;
        check_close(double(out[h * C + c]), double(x[d * C + c]) * double(w[h]) + shift, kTolerance<T>, "scale");
        slope += double(g[h * C + c]) * double(w[h]);
      }
      check_close(double(dx[d * C + c]), slope, 10 * kTolerance<T>, "scale_backward");
    }
}

template <typename T>
void test_mask(const Kernels<T>& k) {
  const Index C = k.columns, H = pick(1, 20), first_row = pick(0, 1000);
  const std::uint64_t key = std::uint64_t(generator()) << 32 | generator();
  const double rate = pick(0, 4) / 4.0;
  std::vector<T> mask(H * C);
  k.mask(key, rate, first_row, mask.data(), H, C);
  for (Index h = 0; h < H; ++h)
    for (Index c = 0; c < C; ++c) {
      const auto words = plain::threefry(std::uint32_t(first_row + c), std::uint32_t(h / 2), key);
      const double word = h % 2 ? words.second : words.first;
      const bool is_kept = rate < 1 && word >= rate * 4294967296.0;
      check_close(double(mask[h * C + c]), is_kept ? 1 / (1 - rate) : 0, kTolerance<T>, "mask");
    }
}

template <typename T>
void test_normalize(const Kernels<T>& k) {
  const Index C = k.columns, H = pick(1, 40);
  const bool centred = pick(0, 1), add = pick(0, 1);
  const T eps = T(1e-2);
  const auto x = random_numbers<T>(H * C), g = random_numbers<T>(H * C);
  std::vector<T> out(H * C), inverse(C);
  auto dx = random_numbers<T>(H * C);
  const auto before = dx;
  k.normalize(x.data(), eps, centred, out.data(), inverse.data(), H, C);
  k.normalize_backward(g.data(), out.data(), inverse.data(), centred, dx.data(), H, C, add);
  for (Index c = 0; c < C; ++c) {
    std::vector<double> column(H), slopes(H);
    for (Index h = 0; h < H; ++h) column[h] = double(x[h * C + c]), slopes[h] = double(g[h * C + c]);
    const double by = plain::normalize(column, double(eps), centred);
    const auto expected = plain::normalize_backward(slopes, column, by, centred);
    check_close(double(inverse[c]), by, 100 * kTolerance<T>, "inverse");
    for (Index h = 0; h < H; ++h) {
      const double old = add ? double(before[h * C + c]) : 0;
      check_close(double(out[h * C + c]), column[h], 100 * kTolerance<T>, "normalize");
      check_close(double(dx[h * C + c]), expected[h] + old, 300 * kTolerance<T>, "normalize_backward");
    }
  }
}

// A row of the batch normalisation is normalised as a column of the layer's, but over B rows.
template <typename T>
void test_normalize_rows(const Kernels<T>& k) {
  const Index C = k.columns, H = pick(1, 12), B = pick(2, 3 * C), h0 = pick(0, H - 1), h1 = pick(h0, H);
  const T eps = T(1e-2);
  const bool add = pick(0, 1);
  const auto x = random_panels<T>(H, B, C, false), g = random_panels<T>(H, B, C, true);
  std::vector<T> out(x.size()), mean(H), variance(H), inverse(H);
  auto dx = random_numbers<T>(Index(x.size()));
  const auto before = dx;
  k.normalize_rows(x.data(), eps, out.data(), mean.data(), variance.data(), inverse.data(), H, h0, h1, B);
  k.normalize_rows_backward(g.data(), out.data(), inverse.data(), dx.data(), H, h0, h1, B, add);
  for (Index h = h0; h < h1; ++h) {
    std::vector<double> row(B), slopes(B);
    for (Index b = 0; b < B; ++b) row[b] = plain::at(x.data(), H, C, h, b), slopes[b] = plain::at(g.data(), H, C, h, b);
    const double by = plain::normalize(row, double(eps), true);
    const auto expected = plain::normalize_backward(slopes, row, by, true);
    check_close(double(inverse[h]), by, 100 * kTolerance<T>, "inverse of a row");
    for (Index b = 0; b < B; ++b) {
      const double old = add ? plain::at(before.data(), H, C, h, b) : 0;
      check_close(plain::at(out.data(), H, C, h, b), row[b], 100 * kTolerance<T>, "normalize_rows");
      check_close(plain::at(dx.data(), H, C, h, b), expected[b] + old, 300 * kTolerance<T>, "normalize_rows_backward");
    }
  }
}

}  // namespace
}  // namespace linnet
