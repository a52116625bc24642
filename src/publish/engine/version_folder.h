#pragma once
// The folders of a WeightStore, each of which holds a version. Internal to the store.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "publish/engine/manifest.h"

namespace longshot::publish {

constexpr const char* kManifestFile = "manifest.json";
constexpr const char* kDataFile = "model.safetensors";

struct VersionFolder {
  VersionId id;
  std::filesystem::path path;
};

std::string folder_name(VersionId id);
// The folders of versions below the roots, complete or not, the oldest first.
std::vector<VersionFolder> version_folders(const std::vector<std::filesystem::path>& roots);

// A value that another manifest in the same place does not have. 0: there is none.
uint64_t manifest_mark(const std::filesystem::path& folder);

// The data move to `spare` unless it is empty.
void remove_version(const std::filesystem::path& folder, const std::filesystem::path& spare = {});

// `what`, with the text of errno.
Status errno_status(const std::string& what);

}  // namespace longshot::publish
