#include "datasets/rows.h"

#include "datasets/files.h"
#include "datasets/shard.h"

namespace longshot::datasets {

Status for_each_row(const std::vector<std::string>& files,
                    const std::function<Status(Row&& row)>& use) {
  LS_ASSIGN_OR_RETURN(const auto paths, find_files(files));
  for (const std::string& path : paths) {
    LS_ASSIGN_OR_RETURN(const auto shard, open_shard(path));
    while (true) {
      LS_ASSIGN_OR_RETURN(auto row, shard->next());
      if (!row) break;
      LS_RETURN_IF_ERROR(use(std::move(*row)));
    }
  }
  return ok_status();
}

Result<std::vector<Row>> read_rows(const std::vector<std::string>& files) {
  std::vector<Row> rows;
  LS_RETURN_IF_ERROR(for_each_row(files, [&](Row&& row) {
    rows.push_back(std::move(row));
    return ok_status();
  }));
  return rows;
}

}  // namespace longshot::datasets
