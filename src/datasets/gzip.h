#pragma once
// Unpacks gzip data (RFC 1952) a block at a time. A file may have several members one after
// another, as `cat a.gz b.gz` and bgzip write them, and zeros behind each.

#include <cstdint>
#include <memory>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>

#include "base/status.h"

struct z_stream_s;

namespace longshot::datasets {

// No line of JSON and no parquet file begins with it.
constexpr char kGzipFirstByte = '\x1f';

// Movable only. Not thread-safe.
class GzipDecoder {
 public:
  GzipDecoder();

  // Unpacks from the front of `packed`, which it shortens by what it has used. Returns the number
  // of bytes that it has written to `out`. If they are fewer than `out` holds, `packed` is used up,
  // or the data are damaged (see status()).
  size_t unpack(std::string_view& packed, std::span<char> out);
  // Tells that no more data come.
  void finish();
  // Not ok if the data are damaged, or ended within a member. The message says what to do and lacks
  // the name of the file.
  const Status& status() const { return status_; }

 private:
  enum class Part { begin, member, between };
  struct Close {
    void operator()(z_stream_s* stream) const;
  };

  bool enter_member(std::string_view& packed);
  size_t inflate_some(std::string_view& packed, std::span<char> out);
  void fail(const char* what);

  std::unique_ptr<z_stream_s, Close> stream_;
  Part part_ = Part::begin;
  Status status_;
};

// The content of gzip data that another buffer holds, which must outlive it. Going back reads from
// the beginning again. Damaged data end the content early: status() tells. Not thread-safe.
class GzipBuffer final : public std::streambuf {
 public:
  explicit GzipBuffer(std::streambuf& packed) : packed_(packed) {}

  // Ok until the content has ended.
  Status status() const { return ended_ ? decoder_.status() : ok_status(); }

 protected:
  int_type underflow() override;
  pos_type seekpos(pos_type position, std::ios_base::openmode which) override;

 private:
  static constexpr size_t kBlock = size_t{1} << 16;

  bool restart();

  std::streambuf& packed_;
  GzipDecoder decoder_;
  std::string block_ = std::string(kBlock, '\0');  // of packed data
  std::string_view rest_;                          // of `block_`
  std::string content_ = std::string(kBlock, '\0');
  bool ended_ = false;
  int64_t end_ = 0;  // bytes of content up to the end of `content_`
};

}  // namespace longshot::datasets
