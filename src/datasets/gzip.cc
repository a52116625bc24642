#include "datasets/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace longshot::datasets {
namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;

}  // namespace

void GzipDecoder::Close::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

GzipDecoder::GzipDecoder() : stream_(new z_stream_s{}) {
  LS_CHECK(inflateInit2(stream_.get(), kGzipOnly) == Z_OK, "zlib cannot start");
}

size_t GzipDecoder::unpack(std::string_view& packed, std::span<char> out) {
  size_t written = 0;
  while (status_.ok() && written < out.size() && enter_member(packed))
    written += inflate_some(packed, out.subspan(written));
  return written;
}

void GzipDecoder::finish() {
  if (!status_.ok() || part_ == Part::between) return;
  status_ = corrupt(
      "the gzip data end too early; the file was not copied or written completely, so fetch or "
      "write it again");
}

// False if there is nothing to unpack.
bool GzipDecoder::enter_member(std::string_view& packed) {
  if (part_ == Part::between)
    packed.remove_prefix(std::min(packed.find_first_not_of('\0'), packed.size()));
  // zlib holds content back if the room for it was too small.
  if (packed.empty()) return part_ == Part::member && stream_->avail_out == 0;
  if (part_ == Part::between && packed[0] != kGzipFirstByte) {
    fail("other bytes follow them");
    return false;
  }
  if (part_ == Part::between) inflateReset(stream_.get());
  part_ = Part::member;
  return true;
}

size_t GzipDecoder::inflate_some(std::string_view& packed, std::span<char> out) {
  z_stream_s& s = *stream_;
  s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  s.avail_in = static_cast<uInt>(packed.size());
  s.next_out = reinterpret_cast<Bytef*>(out.data());
  s.avail_out = static_cast<uInt>(out.size());
  const int state = inflate(&s, Z_NO_FLUSH);
  packed.remove_prefix(packed.size() - s.avail_in);
  if (state == Z_STREAM_END) part_ = Part::between;
  // Z_BUF_ERROR: more data are needed.
  if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
    fail(s.msg != nullptr ? s.msg : zError(state));
  return out.size() - s.avail_out;
}

void GzipDecoder::fail(const char* what) {
  status_ = corrupt(
      fmt::format("the gzip data are damaged ({}); `gzip -t` checks the file, fetch or write it "
                  "again",
                  what));
}

GzipBuffer::int_type GzipBuffer::underflow() {
  size_t written = 0;
  for (bool more = true; written == 0 && more && decoder_.status().ok();) {
    if (rest_.empty()) {
      const auto read = packed_.sgetn(block_.data(), static_cast<std::streamsize>(block_.size()));
      rest_ = std::string_view(block_.data(), static_cast<size_t>(read));
      more = read > 0;
    }
    written = decoder_.unpack(rest_, content_);
  }
  ended_ = written == 0;
  if (ended_) decoder_.finish();
  end_ += static_cast<int64_t>(written);
  setg(content_.data(), content_.data(), content_.data() + written);
  return ended_ ? traits_type::eof() : traits_type::to_int_type(content_[0]);
}

bool GzipBuffer::restart() {
  setg(content_.data(), content_.data(), content_.data());
  rest_ = {};
  ended_ = false;
  end_ = 0;
  decoder_ = GzipDecoder();
  return packed_.pubseekpos(0, std::ios_base::in) == pos_type(0);
}

GzipBuffer::pos_type GzipBuffer::seekpos(pos_type position, std::ios_base::openmode) {
  const auto wanted = static_cast<int64_t>(position);
  const bool behind = wanted < end_ - (egptr() - eback());
  if (behind && !restart()) return pos_type(off_type(-1));
  while (end_ < wanted) {
    setg(content_.data(), content_.data(), content_.data());
    if (traits_type::eq_int_type(underflow(), traits_type::eof())) return pos_type(off_type(-1));
  }
  setg(eback(), egptr() - (end_ - wanted), egptr());
  return position;
}

}  // namespace longshot::datasets
