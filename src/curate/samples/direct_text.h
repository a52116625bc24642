#pragma once
// The instruction file that asks for the answer alone, embedded at build time from
// configs/prompts/.

#include <string_view>

namespace longshot::curate {

extern const std::string_view kDirectTxt;

}  // namespace longshot::curate
