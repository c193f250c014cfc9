// Prints the GFLOP/s of float32 fused multiply-adds that THREADS threads reach together.
//
//   g++ -std=c++17 -O3 -march=native -pthread peak.cpp -o peak && ./peak 1
//
// Twelve independent sums keep every multiply-add unit busy: a unit takes some 4 or 5 cycles to
// give its result, and a core has two. All of them fit in 16 registers.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kLanes = kBytes / sizeof(float), kSums = 12;
constexpr long kTurns = 2'000'000, kTrials = 20;

typedef float Vector __attribute__((vector_size(kBytes)));

// Seconds of the quickest of some trials.
static double quickest(float factor, float term, float* result) {
  Vector sums[kSums] = {};
  const Vector a = factor - Vector{}, b = term - Vector{};
  double best = 1e9;
  for (long trial = 0; trial < kTrials; ++trial) {
    const auto started = std::chrono::steady_clock::now();
    for (long turn = 0; turn < kTurns; ++turn)
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * a + b;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
    if (seconds.count() < best) best = seconds.count();
  }
  *result = 0;
  for (int i = 0; i < kSums; ++i)
    for (int lane = 0; lane < kLanes; ++lane) *result += sums[i][lane];
  return best;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  std::vector<double> seconds(threads);
  std::vector<float> results(threads);  // used below, so that no sum is left out
  std::vector<std::thread> others;
  const float factor = argc > 9 ? 2.0f : 0.5f;  // not known when compiling
  for (int t = 0; t < threads; ++t)
    others.emplace_back([&, t] { seconds[t] = quickest(factor, 1.0f, &results[t]); });
  for (auto& other : others) other.join();
  double gflops = 0, check = 0;
  for (int t = 0; t < threads; ++t) {
    gflops += 2.0 * kLanes * kSums * kTurns / seconds[t] * 1e-9;
    check += results[t];
  }
  std::printf("%.2f\n", gflops);
  return check > 0 ? 0 : 1;
}
