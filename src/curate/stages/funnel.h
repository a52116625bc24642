#pragma once
// The report of a run: how many rows came to each stage, how many it dropped for which reason, and
// examples of both.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "curate/stages/decisions.h"
#include "curate/stages/options.h"
#include "curate/stages/row_store.h"

namespace longshot::curate {

struct StageFile {
  Stage stage = Stage::normalize;
  std::filesystem::path path;  // its decisions
};

// {"input_rows", "kept_rows", "stages": [{"stage", "input", "kept", "dropped", "reasons",
// "dropped_examples", "kept_examples", "summary", "settings"}]}. It contains no times, so the same
// run gives the same bytes.
Result<OrderedJson> make_funnel(const RowStore& rows, const std::vector<StageFile>& stages);

// A self-contained page about the funnel.
std::string funnel_page(const OrderedJson& funnel);

// The funnel as lines of text.
std::string funnel_table(const OrderedJson& funnel);

// What the details of a dropped row refer to by number, as ids and places.
Result<OrderedJson> resolved_details(const RowStore& rows, OrderedJson details);

}  // namespace longshot::curate
