#pragma once
// A text file that may be compressed with gzip, as a stream of its content.

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "datasets/gzip.h"

namespace longshot::datasets {

// The first byte decides whether the content is compressed, so the name of a file is free; but a
// name that ends in .gz is an error if the content is not compressed. Memory does not grow with the
// file. Movable only. Not thread-safe.
class TextSource {
 public:
  // "-" is stdin, which is read as its bytes come and cannot seek. Errors name the path.
  static Result<TextSource> open(const std::string& path);
  // Content that is in memory; `name` is for errors.
  static Result<TextSource> from_bytes(const std::string& name, std::string bytes);

  // At its beginning. Seeking back in compressed content reads it again from its beginning.
  std::istream& stream() { return *content_; }
  // Why the stream ended: ok if that was the end of the content. The message lacks the name.
  Status status() const;
  bool compressed() const { return gzip_ != nullptr; }

 private:
  TextSource(std::unique_ptr<std::istream> owned, std::istream& bytes)
      : owned_(std::move(owned)), content_(&bytes) {}
  static Result<TextSource> make(const std::string& name, std::unique_ptr<std::istream> owned,
                                 std::istream& bytes);

  std::unique_ptr<std::istream> owned_;  // nothing for stdin
  std::unique_ptr<GzipBuffer> gzip_;
  std::unique_ptr<std::istream> unpacked_;
  std::istream* content_;
};

}  // namespace longshot::datasets
