#include "server/model_files_check.h"

#include <filesystem>

namespace longshot::server {

Status check_model_files(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto sound = [&](const fs::path& file) {
    const fs::file_type type = fs::status(file, error).type();
    return type == fs::file_type::regular || type == fs::file_type::directory ||
           type == fs::file_type::not_found;
  };
  bool all = sound(path);
  if (fs::is_directory(path, error)) {
    for (const auto& entry : fs::directory_iterator(path, error)) all = all && sound(entry.path());
  }
  return all ? ok_status()
             : invalid_argument(path + ": a model is a directory of regular files or a .gguf file");
}

}  // namespace longshot::server
