#include "base/os/fs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace longshot {
namespace {

class FileDescriptor {
 public:
  FileDescriptor(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags, 0644)) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status errno_status(const char* action, const std::filesystem::path& path) {
  const int error = errno;
  const std::string message = fmt::format("{} {}: {}", action, path.string(), std::strerror(error));
  return error == ENOENT ? not_found(message) : io_error(message);
}

Status write_all(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("cannot write", path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return ok_status();
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path) {
  FileDescriptor fd(path, O_RDONLY | O_CLOEXEC);
  if (!fd.valid()) return errno_status("cannot open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_status("cannot stat", path);
  if (S_ISDIR(info.st_mode))
    return io_error("cannot read " + path.string() + ": it is a directory");
  std::string content;
  content.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("cannot read", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::filesystem::path> follow_links(
    std::filesystem::path path, const std::function<bool(const std::filesystem::path&)>& stop) {
  constexpr int kMaxLinks = 40;  // as in Linux
  std::error_code error;
  for (int links = 0; links <= kMaxLinks; ++links) {
    if (stop && stop(path)) return path;
    if (!std::filesystem::is_symlink(std::filesystem::symlink_status(path, error))) return path;
    const auto next = std::filesystem::read_symlink(path, error);
    if (error) return io_error(path.string() + ": " + error.message());
    path = path.parent_path() / next;  // an absolute target replaces the folder
  }
  return io_error(path.string() + ": too many symbolic links");
}

Result<DurableFile> DurableFile::create(const std::filesystem::path& path) {
  DurableFile file(path);
  file.fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file.fd_ < 0) return errno_status("cannot create", path);
  return file;
}

DurableFile::DurableFile(DurableFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

DurableFile& DurableFile::operator=(DurableFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

DurableFile::~DurableFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status DurableFile::write(std::string_view bytes) {
  return write_all(fd_, bytes, path_);
}

Status DurableFile::close() {
  if (::fsync(fd_) != 0) return errno_status("cannot sync", path_);
  if (::close(std::exchange(fd_, -1)) != 0) return errno_status("cannot close", path_);
  return ok_status();
}

Status write_file_durable(const std::filesystem::path& path, std::string_view content) {
  LS_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
  LS_RETURN_IF_ERROR(file.write(content));
  return file.close();
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view content) {
  LS_ASSIGN_OR_RETURN(const std::filesystem::path target, follow_links(path));
  std::filesystem::path temporary = target;
  temporary += ".tmp";
  Status written = write_file_durable(temporary, content);
  if (!written.ok()) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    return written;
  }
  return rename_durable(temporary, target);
}

Status fsync_path(const std::filesystem::path& path) {
  FileDescriptor fd(path, O_RDONLY | O_CLOEXEC);
  if (!fd.valid()) return errno_status("cannot open", path);
  if (::fsync(fd.get()) != 0) return errno_status("cannot sync", path);
  return ok_status();
}

Status make_directories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return io_error(fmt::format("cannot create {}: {}", path.string(), error.message()));
  return ok_status();
}

// Others may try the same path at the same time, so nothing is made in the path itself.
Status try_directory(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::path missing, folder = std::filesystem::absolute(path).lexically_normal();
  const auto is_missing = [&] {
    return std::filesystem::symlink_status(folder, ignored).type() ==
           std::filesystem::file_type::not_found;
  };
  for (; folder.has_relative_path() && is_missing(); folder = folder.parent_path())
    missing = missing.empty() ? folder.filename() : folder.filename() / missing;
  if (missing.empty()) {
    LS_RETURN_IF_ERROR(make_directories(path));
    return ::access(path.c_str(), W_OK | X_OK) == 0 ? ok_status()
                                                    : errno_status("cannot write below", path);
  }
  std::string trial = (folder / ".longshot_XXXXXX").string();
  if (::mkdtemp(trial.data()) == nullptr) return errno_status("cannot create", path);
  std::error_code error;
  std::filesystem::create_directories(trial / missing, error);
  std::filesystem::remove_all(trial, ignored);
  if (error) return io_error(fmt::format("cannot create {}: {}", path.string(), error.message()));
  return ok_status();
}

Status rename_durable(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_status("cannot rename to", to);
  const auto parent = to.parent_path();
  return fsync_path(parent.empty() ? "." : parent);
}

Status remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return io_error(fmt::format("cannot remove {}: {}", path.string(), error.message()));
  return ok_status();
}

Result<std::vector<std::string>> list_files(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> files;
  std::filesystem::recursive_directory_iterator it(directory, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error))
      files.push_back(it->path().lexically_relative(directory).string());
  }
  if (error)
    return io_error(fmt::format("cannot list {}: {}", directory.string(), error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

uint64_t checksum(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

// Reads in blocks: a mapped file would count as memory of the process.
Result<uint64_t> file_checksum(const std::filesystem::path& path) {
  FileDescriptor fd(path, O_RDONLY | O_CLOEXEC);
  if (!fd.valid()) return errno_status("cannot open", path);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("cannot read", path);
    if (n == 0) return XXH3_64bits_digest(state.get());
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<size_t>(n));
  }
}

Result<RandomAccessFile> RandomAccessFile::open(const std::filesystem::path& path) {
  RandomAccessFile file(path.string());
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.fd_ < 0) return errno_status("cannot open", path);
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return errno_status("cannot stat", path);
  if (!S_ISREG(info.st_mode)) return io_error(path.string() + " is not a regular file");
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

RandomAccessFile::RandomAccessFile(RandomAccessFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

RandomAccessFile& RandomAccessFile::operator=(RandomAccessFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

RandomAccessFile::~RandomAccessFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status RandomAccessFile::read(uint64_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("cannot read", path_);
    if (n == 0) return io_error(path_ + " has become shorter while it was read");
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
  return ok_status();
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  FileDescriptor fd(path, O_RDONLY | O_CLOEXEC);
  if (!fd.valid()) return errno_status("cannot open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_status("cannot stat", path);
  if (!S_ISREG(info.st_mode)) return io_error(path.string() + " is not a regular file");
  MappedFile file;
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ == 0) return file;
  void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) return errno_status("cannot map", path);
  file.data_ = static_cast<const char*>(data);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace longshot
