#include "datasets/files.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

namespace longshot::datasets {
namespace {

bool is_pattern(const std::string& entry) {
  std::error_code error;
  return entry.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(entry, error);
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

Result<std::vector<std::string>> find_files(const std::vector<std::string>& entries) {
  std::vector<std::string> files;
  for (const std::string& entry : entries) {
    if (!is_pattern(entry)) {
      files.push_back(entry);
      continue;
    }
    const auto paths = matches(entry);
    if (paths.empty()) return not_found("no file matches " + entry);
    files.insert(files.end(), paths.begin(), paths.end());
  }
  return files;
}

Status check_outputs(const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs) {
  LS_ASSIGN_OR_RETURN(const auto files, find_files(inputs));
  for (const std::string& output : outputs) {
    for (const std::string& file : files) {
      std::error_code error;  // equivalent() fails if a file does not exist
      if (!output.empty() && std::filesystem::is_regular_file(file, error) &&
          std::filesystem::equivalent(file, output, error))
        return invalid_argument(output + " cannot be both input and output");
    }
  }
  return ok_status();
}

}  // namespace longshot::datasets
