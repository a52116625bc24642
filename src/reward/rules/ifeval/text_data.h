#pragma once
// Data that the language and sentence rules need; tools/make_ifeval_data.py writes it and
// docs/dependencies.md names its sources.

#include "base/json.h"

namespace longshot::reward {

// {"profiles": {LANGUAGE: {"totals": [3], "grams": {GRAM: COUNT}}}, "kanji": [CHARACTERS],
//  "sentences": {"abbreviations": [], "starters": [], "collocations": [[2]], "context": {}}}.
// Unpacked by the first call. Thread-safe.
const Json& text_data();

}  // namespace longshot::reward
