// Which instruction sets the processor and the operating system offer, asked at run time.
//
// The levels are those of the x86-64 psABI (section 3.1.1, table 3.1): x86-64-v2, -v3 and -v4; each
// holds the one before. On arm64 there is one, "neon", which every 64-bit ARM processor has.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define LINNET_X86_64 1
#include <cpuid.h>

#include <cstdint>
#endif

namespace linnet {

#ifdef LINNET_X86_64

// The four words of feature bits that the levels are made of.
struct Features {
  std::uint32_t leaf1_ecx = 0;     // SSE3 to F16C
  std::uint32_t leaf7_ebx = 0;     // BMI, AVX2, AVX-512
  std::uint32_t extended_ecx = 0;  // LAHF, LZCNT
  std::uint64_t xcr0 = 0;          // registers that the operating system saves
};

// CPUID itself rather than __builtin_cpu_supports("x86-64-v3"): older compilers do not know the
// names of the levels, nor those of some features that they hold (LZCNT, MOVBE).
inline Features read_features() {
  Features features;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) features.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) features.leaf7_ebx = ebx;
  if (__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx)) features.extended_ecx = ecx;

  // XGETBV faults unless OSXSAVE (leaf 1, ECX bit 27) says that the operating system has enabled
  // it. It is written in assembler because the intrinsic wants -mxsave for the whole file.
  if ((features.leaf1_ecx >> 27) & 1u) {
    std::uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    features.xcr0 = (std::uint64_t{high} << 32) | low;
  }
  return features;
}

template <typename Word>
constexpr Word bits(std::initializer_list<int> positions) {
  Word word = 0;
  for (int position : positions) word |= Word{1} << position;
  return word;
}

template <typename Word>
constexpr bool holds(Word word, Word wanted) {
  return (word & wanted) == wanted;
}

inline bool has_v2(const Features& f) {
  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF
  return holds(f.leaf1_ecx, bits<std::uint32_t>({0, 9, 13, 19, 20, 23})) &&
         holds(f.extended_ecx, bits<std::uint32_t>({0}));
}

inline bool has_v3(const Features& f) {
  // FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT; and the operating system saves XMM and
  // YMM: under one that does not, a task switch would lose the upper halves.
  return has_v2(f) && holds(f.leaf1_ecx, bits<std::uint32_t>({12, 22, 27, 28, 29})) &&
         holds(f.leaf7_ebx, bits<std::uint32_t>({3, 5, 8})) &&
         holds(f.extended_ecx, bits<std::uint32_t>({5})) &&
         holds(f.xcr0, bits<std::uint64_t>({1, 2}));
}

inline bool has_v4(const Features& f) {
  // AVX-512 F, DQ, CD, BW, VL; and the system saves the mask registers and both parts of ZMM. macOS
  // enables these only on first use, so v4 is not listed there: the safe side.
  return has_v3(f) && holds(f.leaf7_ebx, bits<std::uint32_t>({16, 17, 28, 30, 31})) &&
         holds(f.xcr0, bits<std::uint64_t>({5, 6, 7}));
}

inline std::vector<std::string> instruction_sets() {
  const Features features = read_features();
  std::vector<std::string> sets;
  if (has_v2(features)) sets.push_back("x86-64-v2");
  if (has_v3(features)) sets.push_back("x86-64-v3");
  if (has_v4(features)) sets.push_back("x86-64-v4");
  return sets;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

inline std::vector<std::string> instruction_sets() { return {"neon"}; }

#else

inline std::vector<std::string> instruction_sets() { return {}; }

#endif

}  // namespace linnet
