// A team of threads for one call, and the barrier at which they wait for each other.
#pragma once

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "letters.hpp"

namespace linnet {

// Rows [first, last) that belong to thread t of n.
inline std::pair<Index, Index> share(Index rows, int t, int n) {
  return {rows * t / n, rows * (t + 1) / n};
}

class Barrier {
 public:
  explicit Barrier(int n) : n_(n) {}
  // Waiting spins, for a step may be as short as a thread takes to wake up; where processors are
  // fewer than threads it yields.
  void wait() {
    if (n_ == 1) return;
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
      if (spins > 4000) std::this_thread::yield();
  }

 private:
  const int n_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};

// Run f(t) for t in [0, n), f(0) on this thread. Threads live for one call: none is left over, and a
// fork finds none missing.
template <typename F>
void run_team(int n, F f) {
  std::vector<std::thread> team;
  for (int t = 1; t < n; ++t) team.emplace_back([&f, t] { f(t); });
  f(0);
  for (auto& thread : team) thread.join();
}

}  // namespace linnet
