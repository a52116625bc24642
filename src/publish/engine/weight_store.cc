#include "publish/engine/weight_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/stop.h"

namespace longshot::publish {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifest = "manifest.json";
constexpr const char* kData = "model.safetensors";
constexpr size_t kKept = 2;

Status errno_status(const std::string& what) {
  return io_error(what + ": " + std::strerror(errno));
}

std::string folder_name(VersionId id) {
  return fmt::format("{}-{}", id.epoch, id.version);
}

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

struct VersionFolder {
  VersionId id;
  fs::path path;
};

// The folders of versions below the roots, complete or not, the oldest first.
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

uint64_t manifest_inode(const fs::path& folder) {  // 0: there is none
  struct stat info {};
  return ::stat((folder / kManifest).c_str(), &info) == 0 ? info.st_ino : 0;
}

// The manifest goes first: without it the rest is no version, even if this is interrupted.
void remove_version(const fs::path& folder) {
  std::error_code ignored;
  fs::remove(folder / kManifest, ignored);
  fs::remove_all(folder, ignored);
}

// Below /dev/shm every user can create names, so a folder that exists must be this user's own.
Status make_own_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_status("cannot create " + folder.string());
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0) return errno_status("cannot read " + folder.string());
  if (S_ISDIR(info.st_mode) && info.st_uid == ::geteuid()) return ok_status();
  return io_error(folder.string() + " belongs to another user: give another folder (--store)");
}

std::string room_message(const fs::path& root, uint64_t bytes) {
  std::error_code error;
  const auto space = fs::space(root, error);
  const double free = error ? 0 : static_cast<double>(space.available) / kMiB;
  return fmt::format("{} has no room for a version of {:.0f} MiB ({:.0f} MiB are free)",
                     root.string(), static_cast<double>(bytes) / kMiB, free);
}

// Reserves all bytes, so that a lack of memory is found before anything is fetched, and never ends
// a process that reads the file through a mapping (SIGBUS).
int allocate(int fd, uint64_t bytes) {
  int error = EINTR;
  while (error == EINTR && !stop_requested())
    error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  return error;
}

}  // namespace

fs::path default_store_folder(const std::string& run) {
  return fs::path("/dev/shm") / fmt::format("longshot-{}", ::geteuid()) / run;
}

Result<Held> HeldVersion::open(const fs::path& folder) {
  LS_ASSIGN_OR_RETURN(std::string text, read_file(folder / kManifest));
  LS_ASSIGN_OR_RETURN(MappedFile data, MappedFile::open(folder / kData));
  const std::shared_ptr<HeldVersion> held(new HeldVersion(folder, std::move(data)));
  held->manifest_text_ = std::move(text);
  LS_ASSIGN_OR_RETURN(held->manifest_,
                      parse_manifest(held->manifest_text_, (folder / kManifest).string()));
  if (held->bytes().size() != held->manifest_.total_bytes()) {
    return corrupt(fmt::format("{}: {} bytes, the manifest says {}", (folder / kData).string(),
                               held->bytes().size(), held->manifest_.total_bytes()));
  }
  LS_RETURN_IF_ERROR(held->read_files());
  return Held(held);
}

Status HeldVersion::read_files() {
  for (const ManifestFile& file : manifest_.files) {
    LS_ASSIGN_OR_RETURN(std::string content, read_file(folder_ / file.name));
    if (checksum(content) != file.checksum)
      return corrupt((folder_ / file.name).string() + ": its checksum differs from the manifest's");
    files_[file.name] = std::move(content);
  }
  return ok_status();
}

std::string_view HeldVersion::tensor(const ManifestTensor& tensor) const {
  return bytes().substr(manifest_.header_bytes + tensor.offset, tensor.bytes);
}

const ManifestTensor* HeldVersion::find(const std::string& name) const {
  const auto found =
      std::find_if(manifest_.tensors.begin(), manifest_.tensors.end(),
                   [&](const ManifestTensor& tensor) { return tensor.name == name; });
  return found == manifest_.tensors.end() ? nullptr : &*found;
}

Result<std::string_view> HeldVersion::file(const std::string& name) const {
  const auto found = files_.find(name);
  if (found != files_.end()) return std::string_view(found->second);
  return not_found(
      fmt::format("{} of {} has no file '{}'", to_string(id_of(manifest_)), manifest_.run, name));
}

Result<std::unique_ptr<WeightStore>> WeightStore::open(StoreOptions options) {
  LS_RETURN_IF_ERROR(check_name(options.run, "the name of the run"));
  if (options.folder.empty()) {
    options.folder = default_store_folder(options.run);
    LS_RETURN_IF_ERROR(make_own_folder(options.folder.parent_path()));
  }
  LS_RETURN_IF_ERROR(make_directories(options.folder));
  std::unique_ptr<WeightStore> store(new WeightStore(std::move(options)));
  LS_ASSIGN_OR_RETURN(const auto writer, store->try_write());
  if (writer) store->remove_damaged();
  return store;
}

std::vector<fs::path> WeightStore::roots() const {
  if (options_.fallback.empty()) return {options_.folder};
  return {options_.folder, options_.fallback};
}

// Null if the version was removed meanwhile, or is damaged.
Held WeightStore::open_cached(const fs::path& folder) {
  const uint64_t inode = manifest_inode(folder);
  if (inode == 0) return nullptr;
  std::lock_guard lock(mutex_);
  Cached& cached = cache_[folder];
  if (cached.inode == inode) {
    if (Held held = cached.held.lock()) return held;
  }
  auto opened = HeldVersion::open(folder);
  if (!opened.ok()) {
    if (opened.status().code() != StatusCode::not_found)
      log::warn("weights: {}", opened.status().message());
    return nullptr;
  }
  cached = {inode, *opened};
  return *opened;
}

std::vector<Held> WeightStore::held() {
  std::vector<Held> all;
  for (const VersionFolder& folder : version_folders(roots())) {
    const Held held = open_cached(folder.path);
    if (held && held->manifest().run == options_.run) all.push_back(held);
  }
  return all;
}

Held WeightStore::latest() {
  const auto folders = version_folders(roots());
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    const Held held = open_cached(folder->path);
    if (held && held->manifest().run == options_.run) return held;
  }
  return nullptr;
}

Held WeightStore::find(VersionId id) {
  for (const Held& held : held()) {
    if (id_of(held->manifest()) == id) return held;
  }
  return nullptr;
}

Held WeightStore::find(int64_t version) {
  Held found;
  for (const Held& held : held()) {
    if (held->manifest().version == version) found = held;
  }
  return found;
}

std::shared_ptr<const GrowingVersion> WeightStore::growing() {
  std::lock_guard lock(mutex_);
  return growing_.lock();
}

// The lock is one of the open file, which also excludes other writers of this process and ends
// with the last of its descriptors, even after a crash.
Result<std::optional<VersionWriter>> WeightStore::try_write() {
  const fs::path path = options_.folder / "lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status("cannot open " + path.string());
  VersionWriter writer(*this, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<VersionWriter>();
    return errno_status("cannot lock " + path.string());
  }
  remove_unfinished();
  return std::optional<VersionWriter>(std::move(writer));
}

Result<VersionWriter> WeightStore::write(Deadline deadline) {
  while (true) {
    LS_ASSIGN_OR_RETURN(auto writer, try_write());
    if (writer) return std::move(*writer);
    if (deadline.expired()) {
      return timeout_error(options_.folder.string() +
                           ": another process of this host did not finish writing in time");
    }
    if (!sleep_unless_stopped(std::min(deadline, Deadline::after_seconds(0.02))))
      return cancelled("stopped while another process was writing to " + options_.folder.string());
  }
}

// Must be called by the holder of the lock.
void WeightStore::remove_unfinished() {
  for (const VersionFolder& folder : version_folders(roots())) {
    if (manifest_inode(folder.path) == 0) remove_version(folder.path);
  }
}

void WeightStore::remove_damaged() {
  for (const VersionFolder& folder : version_folders(roots())) {
    if (!open_cached(folder.path)) remove_version(folder.path);
  }
}

Status WeightStore::clear(Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const VersionWriter writer, write(deadline));
  keep_newest(0);
  return ok_status();
}

void WeightStore::keep_newest(size_t count, const fs::path& kept) {
  auto folders = version_folders(roots());
  const bool keeps = std::erase_if(folders, [&](const auto& f) { return f.path == kept; }) > 0;
  count -= keeps ? 1 : 0;
  for (size_t i = 0; i + count < folders.size(); ++i) remove_version(folders[i].path);
  std::lock_guard lock(mutex_);
  std::erase_if(cache_, [](const auto& entry) { return entry.second.held.expired(); });
}

VersionWriter::VersionWriter(VersionWriter&& other) noexcept
    : store_(other.store_),
      lock_(std::exchange(other.lock_, -1)),
      data_(std::exchange(other.data_, -1)),
      folder_(std::exchange(other.folder_, {})),
      reserved_(other.reserved_),
      growing_(std::move(other.growing_)) {}

VersionWriter::~VersionWriter() {
  if (data_ >= 0) ::close(data_);
  if (!folder_.empty()) remove_version(folder_);
  if (lock_ >= 0) ::close(lock_);
}

// The version before the newest makes room; those that still read it keep it.
Status VersionWriter::reserve(VersionId id, uint64_t bytes) {
  LS_CHECK(folder_.empty(), "a writer writes one version");
  store_->keep_newest(kKept - 1);
  for (const fs::path& root : store_->roots()) remove_version(root / folder_name(id));
  Status status = reserve_in(store_->options_.folder, id, bytes);
  const fs::path& fallback = store_->options_.fallback;
  if (status.code() != StatusCode::exhausted) return status;
  if (fallback.empty()) {
    return exhausted(status.message() +
                     ": make room, give another folder (--store) or one on disk (--fallback)");
  }
  log::warn("weights: {}; {} is written to {} instead", status.message(), to_string(id),
            fallback.string());
  LS_RETURN_IF_ERROR(make_directories(fallback));
  return reserve_in(fallback, id, bytes);
}

Status VersionWriter::reserve_in(const fs::path& root, VersionId id, uint64_t bytes) {
  folder_ = root / folder_name(id);
  LS_RETURN_IF_ERROR(make_directories(folder_));
  const fs::path path = folder_ / kData;
  data_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (data_ < 0) return errno_status("cannot create " + path.string());
  const int error = allocate(data_, bytes);
  reserved_ = bytes;
  if (error == 0) return ok_status();
  ::close(std::exchange(data_, -1));
  remove_version(std::exchange(folder_, {}));
  if (error == EINTR) return cancelled("stopped");  // allocate() gives up when a stop is requested
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    return exhausted(room_message(root, bytes));
  return io_error(fmt::format("cannot reserve {} bytes for {}: {}", bytes, path.string(),
                              std::strerror(error)));
}

// Not through a mapping: the pages of a new file would be faulted in and cleared one by one.
Status VersionWriter::write_at(uint64_t offset, std::string_view bytes) {
  LS_CHECK(data_ >= 0 && offset + bytes.size() <= reserved_, "written beyond what was reserved");
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(data_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("cannot write " + (folder_ / kData).string());
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return ok_status();
}

Status VersionWriter::add_file(const std::string& name, std::string_view content) {
  LS_RETURN_IF_ERROR(check_name(name, "a file of the weights"));
  LS_CHECK(!folder_.empty() && name != kManifest && name != kData, "bad file " + name);
  return write_file_durable(folder_ / name, content);
}

Result<std::shared_ptr<GrowingVersion>> VersionWriter::show(const Manifest& manifest) {
  LS_CHECK(reserved_ == manifest.total_bytes(), "the reserved size is the manifest's");
  LS_ASSIGN_OR_RETURN(growing_, GrowingVersion::open(manifest, folder_ / kData));
  std::lock_guard lock(store_->mutex_);
  store_->growing_ = growing_;
  return growing_;
}

// Syncing costs nothing in memory; on disk it makes the manifest the last thing to appear.
Result<Held> VersionWriter::commit(const Manifest& manifest) {
  LS_CHECK(reserved_ == manifest.total_bytes(), "the reserved size is the manifest's");
  if (::fsync(data_) != 0) return errno_status("cannot sync " + (folder_ / kData).string());
  LS_RETURN_IF_ERROR(write_file_atomic(folder_ / kManifest, to_json(manifest)));
  Held held = store_->open_cached(folder_);
  if (!held) return corrupt(folder_.string() + ": the version that was written cannot be read");
  store_->keep_newest(kKept, std::exchange(folder_, {}));
  return held;
}

}  // namespace longshot::publish
