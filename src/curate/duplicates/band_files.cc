#include "curate/duplicates/band_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/os/fs.h"

namespace longshot::curate {
namespace {

Status failed(const std::filesystem::path& path) {
  return io_error("cannot write " + path.string() + ": is the disk full?");
}

}  // namespace

std::filesystem::path BandFiles::path(int band) const {
  return folder_ / fmt::format("band_{:04}", band);
}

Result<BandFiles> BandFiles::create(const std::filesystem::path& folder, int bands) {
  LS_RETURN_IF_ERROR(remove_tree(folder));
  LS_RETURN_IF_ERROR(make_directories(folder));
  BandFiles files;
  files.folder_ = folder;
  for (int band = 0; band < bands; ++band) {
    files.files_.emplace_back(files.path(band), std::ios::binary);
    if (!files.files_.back()) return failed(files.path(band));
  }
  return files;
}

BandFiles::~BandFiles() {
  if (folder_.empty()) return;
  files_.clear();
  const Status ignored = remove_tree(folder_);  // the next run removes what is left
  static_cast<void>(ignored);
}

Status BandFiles::append(const std::vector<uint64_t>& keys, size_t count) {
  const size_t bands = files_.size();
  column_.resize(count);
  for (size_t band = 0; band < bands; ++band) {
    for (size_t i = 0; i < count; ++i) column_[i] = keys[i * bands + band];
    files_[band].write(reinterpret_cast<const char*>(column_.data()),
                       static_cast<std::streamsize>(count * sizeof(uint64_t)));
    if (!files_[band]) return failed(path(static_cast<int>(band)));
  }
  items_ += count;
  return ok_status();
}

Status BandFiles::finish() {
  for (size_t band = 0; band < files_.size(); ++band) {
    files_[band].close();
    if (!files_[band]) return failed(path(static_cast<int>(band)));
  }
  return ok_status();
}

Result<std::vector<BandFiles::Keyed>> BandFiles::bucket_order(int band) const {
  std::vector<Keyed> order(items_);
  {
    LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path(band)));
    if (bytes.size() != items_ * sizeof(uint64_t)) return corrupt(path(band).string());
    const auto* keys = reinterpret_cast<const uint64_t*>(bytes.data());
    for (size_t i = 0; i < items_; ++i) order[i] = {keys[i], static_cast<uint32_t>(i)};
  }
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace longshot::curate
