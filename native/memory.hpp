// Memory that begins at a cache line and holds zeros at first.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "letters.hpp"

namespace linnet {

template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index n) {
    if (n <= 0) return;
    const std::size_t bytes = (std::size_t(n) * sizeof(T) + 63) / 64 * 64;
    void* p = std::aligned_alloc(64, bytes);
    if (!p) throw std::bad_alloc();
    std::memset(p, 0, bytes);
    memory_.reset(static_cast<T*>(p));
  }
  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace linnet
