#pragma once
// The files that a user reads: the kept rows and the dropped ones.

#include <filesystem>
#include <vector>

#include "base/status.h"
#include "curate/stages/decisions.h"
#include "curate/stages/funnel.h"
#include "curate/stages/row_store.h"

namespace longshot::curate {

// verl rows in the order of the input, with what the stages have set in extra_info. What a row had
// there before under the same name becomes extra_info.given_NAME, such as given_difficulty. The
// file is complete, or unchanged after an error.
Status write_prompts(const std::filesystem::path& path, const RowStore& rows, const RowSet& set,
                     const RowProgress& on_progress);

// A line for each dropped row, stage by stage.
Status write_dropped(const std::filesystem::path& path, const RowStore& rows,
                     const std::vector<StageFile>& stages);

}  // namespace longshot::curate
