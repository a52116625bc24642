#pragma once
// The engines that samples may come from.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/spelling.h"

namespace longshot::data {

// What computes samples: longshot's engine in one of its processes, or a server of another one.
enum class EngineKind : uint8_t { longshot, vllm, sglang };
constexpr size_t kEngineKinds = 3;

constexpr auto spellings(EngineKind) {
  using enum EngineKind;
  return std::to_array<Spelling<EngineKind>>(
      {{longshot, "longshot"}, {vllm, "vllm"}, {sglang, "sglang"}});
}

}  // namespace longshot::data
