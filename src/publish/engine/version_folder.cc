#include "publish/engine/version_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/bytes.h"

namespace longshot::publish {
namespace {

namespace fs = std::filesystem;

std::optional<int64_t> number_in(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (text.empty() || stop != end || problem != std::errc() || number < 0) return std::nullopt;
  return number;
}

std::optional<VersionId> id_in(const std::string& folder_name) {
  const size_t dash = folder_name.find('-');
  if (dash == std::string::npos) return std::nullopt;
  const auto epoch = number_in(std::string_view(folder_name).substr(0, dash));
  const auto version = number_in(std::string_view(folder_name).substr(dash + 1));
  if (!epoch || !version) return std::nullopt;
  return VersionId{*epoch, *version};
}

}  // namespace

Status errno_status(const std::string& what) {
  return io_error(what + ": " + std::strerror(errno));
}

std::string folder_name(VersionId id) {
  return fmt::format("{}-{}", id.epoch, id.version);
}

std::vector<VersionFolder> version_folders(const std::vector<fs::path>& roots) {
  std::vector<VersionFolder> folders;
  for (const fs::path& root : roots) {
    std::error_code error;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      if (const auto id = id_in(it->path().filename().string()))
        folders.push_back({*id, it->path()});
    }
  }
  std::stable_sort(folders.begin(), folders.end(),
                   [](const auto& a, const auto& b) { return a.id < b.id; });
  return folders;
}

uint64_t manifest_mark(const fs::path& folder) {
  struct stat info {};
  if (::stat((folder / kManifestFile).c_str(), &info) != 0) return 0;
  const uint64_t mark[] = {info.st_ino, static_cast<uint64_t>(info.st_mtim.tv_sec),
                           static_cast<uint64_t>(info.st_mtim.tv_nsec)};
  return std::max<uint64_t>(1, checksum({reinterpret_cast<const char*>(mark), sizeof mark}));
}

// The manifest goes first: without it the rest is no version, even if this is interrupted.
void remove_version(const fs::path& folder, const fs::path& spare) {
  std::error_code ignored;
  fs::remove(folder / kManifestFile, ignored);
  if (!spare.empty()) fs::rename(folder / kDataFile, spare, ignored);
  fs::remove_all(folder, ignored);
}

}  // namespace longshot::publish
