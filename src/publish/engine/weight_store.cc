#include "publish/engine/weight_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/stop.h"
#include "base/os/unshared_file.h"
#include "publish/engine/version_folder.h"

namespace longshot::publish {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpare = "spare";  // data of a removed version, while a new one is begun
constexpr size_t kKept = 2;

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
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return errno;
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
  LS_ASSIGN_OR_RETURN(std::string text, read_file(folder / kManifestFile));
  LS_ASSIGN_OR_RETURN(MappedFile data, MappedFile::open(folder / kDataFile));
  const std::shared_ptr<HeldVersion> held(new HeldVersion(folder, std::move(data)));
  held->manifest_text_ = std::move(text);
  LS_ASSIGN_OR_RETURN(held->manifest_,
                      parse_manifest(held->manifest_text_, (folder / kManifestFile).string()));
  if (held->bytes().size() != held->manifest_.total_bytes()) {
    return corrupt(fmt::format("{}: {} bytes, the manifest says {}", (folder / kDataFile).string(),
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
  LS_RETURN_IF_ERROR(store->enter());
  LS_ASSIGN_OR_RETURN(const auto writer, store->try_write());
  if (writer) store->remove_damaged();
  return store;
}

WeightStore::~WeightStore() {
  if (users_ >= 0) ::close(users_);
}

Status WeightStore::enter() {
  const fs::path path = options_.folder / "users";
  users_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (users_ < 0) return errno_status("cannot open " + path.string());
  while (::flock(users_, LOCK_SH) != 0)
    if (errno != EINTR || stop_requested()) return errno_status("cannot lock " + path.string());
  return ok_status();
}

std::vector<fs::path> WeightStore::roots() const {
  if (options_.fallback.empty()) return {options_.folder};
  return {options_.folder, options_.fallback};
}

// Null if the version was removed meanwhile, or is damaged.
Held WeightStore::open_cached(const fs::path& folder) {
  const uint64_t mark = manifest_mark(folder);
  if (mark == 0) return nullptr;
  std::lock_guard lock(mutex_);
  Cached& cached = cache_[folder];
  if (cached.mark == mark) {
    if (Held held = cached.held.lock()) return held;
  }
  auto opened = HeldVersion::open(folder);
  if (!opened.ok()) {
    if (opened.status().code() != StatusCode::not_found)
      log::warn("weights: {}", opened.status().message());
    return nullptr;
  }
  // A writer removes the manifest before it touches the data, so these belong to this manifest.
  if (manifest_mark(folder) != mark) return nullptr;
  cached = {mark, *opened};
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
  std::error_code ignored;
  fs::remove(options_.folder / kSpare, ignored);
  for (const VersionFolder& folder : version_folders(roots())) {
    if (manifest_mark(folder.path) == 0) remove_version(folder.path);
  }
}

void WeightStore::remove_damaged() {
  for (const VersionFolder& folder : version_folders(roots())) {
    if (!open_cached(folder.path)) remove_version(folder.path);
  }
}

// Others that open the store meanwhile wait in open().
void WeightStore::leave(Deadline deadline) {
  if (::flock(users_, LOCK_EX | LOCK_NB) == 0) (void)clear(deadline);
  (void)::flock(users_, LOCK_SH | LOCK_NB);
}

Status WeightStore::clear(Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const VersionWriter writer, write(deadline));
  keep_newest(0);
  return ok_status();
}

void WeightStore::keep_newest(size_t count, const fs::path& kept, const fs::path& spare) {
  auto folders = version_folders(roots());
  const bool keeps = std::erase_if(folders, [&](const auto& f) { return f.path == kept; }) > 0;
  count -= keeps ? 1 : 0;
  for (size_t i = 0; i + count < folders.size(); ++i) remove_version(folders[i].path, spare);
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

// The version before the newest makes room; those that still read it keep it. Otherwise the new one
// takes over its memory, because new pages cost more time than receiving what is written to them.
Status VersionWriter::reserve(VersionId id, uint64_t bytes) {
  LS_CHECK(folder_.empty(), "a writer writes one version");
  const fs::path spare = store_->options_.folder / kSpare;
  store_->keep_newest(kKept - 1, {}, spare);
  const Status status = reserve_with_fallback(id, bytes);
  std::error_code ignored;
  fs::remove(spare, ignored);
  return status;
}

Status VersionWriter::reserve_with_fallback(VersionId id, uint64_t bytes) {
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
  const fs::path path = folder_ / kDataFile;
  data_ = open_unshared(root / kSpare, path);
  if (data_ < 0) data_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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
    if (n < 0) return errno_status("cannot write " + (folder_ / kDataFile).string());
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return ok_status();
}

Status VersionWriter::add_file(const std::string& name, std::string_view content) {
  LS_RETURN_IF_ERROR(check_name(name, "a file of the weights"));
  LS_CHECK(!folder_.empty() && name != kManifestFile && name != kDataFile, "bad file " + name);
  return write_file_durable(folder_ / name, content);
}

Result<std::shared_ptr<GrowingVersion>> VersionWriter::show(const Manifest& manifest) {
  LS_CHECK(reserved_ == manifest.total_bytes(), "the reserved size is the manifest's");
  LS_ASSIGN_OR_RETURN(growing_, GrowingVersion::open(manifest, folder_ / kDataFile));
  std::lock_guard lock(store_->mutex_);
  store_->growing_ = growing_;
  return growing_;
}

// Syncing costs nothing in memory; on disk it makes the manifest the last thing to appear.
Result<Held> VersionWriter::commit(const Manifest& manifest) {
  LS_CHECK(reserved_ == manifest.total_bytes(), "the reserved size is the manifest's");
  if (::fsync(data_) != 0) return errno_status("cannot sync " + (folder_ / kDataFile).string());
  LS_RETURN_IF_ERROR(write_file_atomic(folder_ / kManifestFile, to_json(manifest)));
  Held held = store_->open_cached(folder_);
  if (!held) return corrupt(folder_.string() + ": the version that was written cannot be read");
  store_->keep_newest(kKept, std::exchange(folder_, {}));
  return held;
}

}  // namespace longshot::publish
