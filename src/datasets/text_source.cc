#include "datasets/text_source.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

namespace longshot::datasets {
namespace {

Status cannot_open(const std::string& path, int error) {
  std::string message = fmt::format("cannot open {}: {}", path, std::strerror(error));
  return error == ENOENT ? not_found(std::move(message)) : io_error(std::move(message));
}

}  // namespace

Result<TextSource> TextSource::make(const std::string& name, std::unique_ptr<std::istream> owned,
                                    std::istream& bytes) {
  TextSource source(std::move(owned), bytes);
  const int first = bytes.peek();
  const bool ended = first == std::istream::traits_type::eof();
  const bool packed = !ended && static_cast<char>(first) == kGzipFirstByte;
  if (!name.ends_with(".gz") && !packed) return source;
  if (!ended && !packed) {
    return corrupt(name +
                   ": is not compressed with gzip, although its name ends in .gz; rename the file");
  }
  source.gzip_ = std::make_unique<GzipBuffer>(*bytes.rdbuf());
  source.unpacked_ = std::make_unique<std::istream>(source.gzip_.get());
  source.content_ = source.unpacked_.get();
  return source;
}

Result<TextSource> TextSource::open(const std::string& path) {
  if (path == "-") return make("stdin", nullptr, std::cin);
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!file->is_open()) return cannot_open(path, errno);
  std::istream& bytes = *file;
  return make(path, std::move(file), bytes);
}

Result<TextSource> TextSource::from_bytes(const std::string& name, std::string bytes) {
  auto stream = std::make_unique<std::istringstream>(std::move(bytes));
  std::istream& content = *stream;
  return make(name, std::move(stream), content);
}

Status TextSource::status() const {
  if (gzip_) LS_RETURN_IF_ERROR(gzip_->status());
  return content_->bad() || (owned_ && owned_->bad()) ? io_error("cannot be read") : ok_status();
}

}  // namespace longshot::datasets
