#pragma once
// What happened to the processes of a run, for people who look at it later.

#include <array>
#include <cstdint>
#include <string>

#include "base/spelling.h"

namespace longshot {

enum class RunEventKind : uint8_t {
  joined,
  left,        // its connection ended
  turned_out,  // the coordinator refused it or ended its connection
  silent,      // it was not heard of for too long
  back,        // it was heard of again
};

constexpr auto spellings(RunEventKind) {
  using enum RunEventKind;
  return std::to_array<Spelling<RunEventKind>>({{joined, "joined"},
                                                {left, "left"},
                                                {turned_out, "turned out"},
                                                {silent, "silent"},
                                                {back, "back"}});
}

struct RunEvent {
  double time = 0;  // seconds since 1970
  RunEventKind kind = RunEventKind::joined;
  std::string worker = {}, host = {}, address = {};  // empty if they are not known
  int64_t samples = 0;                               // those that it had, which others continue
  std::string cause = {};                            // empty if there is none
};

}  // namespace longshot
