#include "commands/judge/result_files.h"

#include <filesystem>

namespace longshot::commands {
namespace {

Status open_named(const std::string& name, std::optional<Output>& output) {
  if (name.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(output, Output::open(name));
  return ok_status();
}

Status write_whole(Output& output, const std::string& text) {
  LS_RETURN_IF_ERROR(output.write(text));
  return output.finish();
}

}  // namespace

Result<ResultFiles> ResultFiles::open(const std::string& figures, const std::string& rows) {
  std::error_code ignored;
  const bool same = !figures.empty() &&
                    (figures == rows || (std::filesystem::is_regular_file(figures, ignored) &&
                                         std::filesystem::equivalent(figures, rows, ignored)));
  if (same) return invalid_argument("two results cannot both be written to " + figures);
  ResultFiles files;
  LS_RETURN_IF_ERROR(open_named(figures, files.figures_));
  LS_RETURN_IF_ERROR(open_named(rows, files.rows_));
  for (const auto* output : {&files.figures_, &files.rows_}) {
    if (*output && (*output)->is_stdout()) files.summary_ = stderr;
  }
  return files;
}

Status ResultFiles::write_figures(const OrderedJson& figures) {
  return figures_ ? write_whole(*figures_, dump_json(figures, 2) + "\n") : ok_status();
}

Status ResultFiles::write_rows(const std::function<std::string()>& rows) {
  return rows_ ? write_whole(*rows_, rows()) : ok_status();
}

}  // namespace longshot::commands
