#include "curate/stages/results.h"

#include "base/os/output.h"
#include "base/os/stop.h"

namespace longshot::curate {
namespace {

constexpr size_t kWindow = 4096;

Result<std::string> amended(std::string_view row, const OrderedJson& members) {
  LS_ASSIGN_OR_RETURN(OrderedJson json, parse_ordered_json(row, "rows.jsonl"));
  OrderedJson& extra = json["extra_info"];
  for (const auto& [key, value] : members.items()) {
    if (extra.contains(key)) {
      OrderedJson given = extra[key];  // a copy, because a new member may move the others
      extra["given_" + key] = std::move(given);
    }
    extra[key] = value;
  }
  return dump_json(json);
}

}  // namespace

Status write_prompts(const std::filesystem::path& path, const RowStore& rows, const RowSet& set,
                     const RowProgress& on_progress) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(path));
  Lines lines;
  std::string text;
  for (size_t first = 0; first < rows.size(); first += kWindow) {
    if (stop_requested()) return cancelled("stopped");
    LS_RETURN_IF_ERROR(rows.rows().read_range(first, kWindow, lines));
    text.clear();
    for (size_t i = 0; i < lines.size(); ++i) {
      if (!set.alive[first + i]) continue;
      const OrderedJson members = set.members_of(first + i);
      if (members.empty()) {
        text += row_text(lines[i]);
      } else {
        LS_ASSIGN_OR_RETURN(const std::string row, amended(row_text(lines[i]), members));
        text += row;
      }
      text += '\n';
    }
    LS_RETURN_IF_ERROR(output.write(text));
    on_progress(static_cast<int64_t>(first + lines.size()));
  }
  return output.finish();
}

Status write_dropped(const std::filesystem::path& path, const RowStore& rows,
                     const std::vector<StageFile>& stages) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(path));
  for (const StageFile& file : stages) {
    LS_RETURN_IF_ERROR(read_decisions(file.path, [&](const OrderedJson& line) -> Status {
      if (!line.contains("reason")) return ok_status();
      if (stop_requested()) return cancelled("stopped");
      LS_ASSIGN_OR_RETURN(const OrderedJson names, rows.read_names(line["row"].get<size_t>()));
      OrderedJson dropped = {{"id", full_id(names["row"])},
                             {"where", names["where"]},
                             {"stage", name_of(file.stage)},
                             {"reason", line["reason"]}};
      LS_ASSIGN_OR_RETURN(const OrderedJson details,
                          resolved_details(rows, line.value("details", OrderedJson())));
      if (!details.is_null()) dropped["details"] = details;
      return output.write(dump_json(dropped) + "\n");
    }));
  }
  return output.finish();
}

}  // namespace longshot::curate
