#pragma once
// The bytes of a request's body as they arrive. A large buffer grows without a copy (realloc moves
// pages), so the thread that reads all requests is never busy with one of them for long.

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace longshot::net {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { *this = std::move(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.get(), size_}; }

  void append(std::string_view more) {
    if (size_ + more.size() > capacity_) grow(size_ + more.size());
    if (!more.empty()) std::memcpy(bytes_.get() + size_, more.data(), more.size());
    size_ += more.size();
  }

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };

  void grow(size_t min_size) {
    const size_t wanted = min_size + min_size / 2;
    void* moved = std::realloc(bytes_.get(), wanted);
    if (moved == nullptr) throw std::bad_alloc();
    static_cast<void>(bytes_.release());
    bytes_.reset(static_cast<char*>(moved));
    capacity_ = wanted;
  }

  std::unique_ptr<char, Free> bytes_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace longshot::net
