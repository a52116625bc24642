#pragma once
// A gang of threads, for tests that need no processes.

#include <barrier>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "train/shard/gang.h"

namespace longshot::train {

class ThreadGang : public Gang {
 public:
  struct Board {
    explicit Board(int size) : barrier(size), tensors(static_cast<size_t>(size)) {}
    std::barrier<> barrier;
    std::vector<at::Tensor> tensors;  // [size] of the call that is being made
    std::span<std::byte> bytes;       // of a broadcast's root
  };
  ThreadGang(std::shared_ptr<Board> board, int rank) : board_(std::move(board)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(board_->tensors.size()); }
  at::Device device() const override { return at::kCPU; }
  int64_t bytes_sent() const override { return sent_; }

  Status exchange(const at::Tensor& send, at::Tensor& received, const char*) override {
    return copy_parts(send, received, /*part=*/[this](int) { return rank_; });
  }
  Status gather(at::Tensor& all, const char*) override {
    return copy_parts(all, all, /*part=*/[](int from) { return from; });
  }
  Status broadcast(std::span<std::byte> bytes, int root, const char*) override {
    if (rank_ == root) board_->bytes = bytes;
    board_->barrier.arrive_and_wait();
    if (rank_ != root) std::memcpy(bytes.data(), board_->bytes.data(), bytes.size());
    board_->barrier.arrive_and_wait();
    return ok_status();
  }
  Status barrier(const char*) override {
    board_->barrier.arrive_and_wait();
    return ok_status();
  }

 private:
  // Fills part i of `to` with part part(i) of the tensor that thread i passes.
  Status copy_parts(const at::Tensor& from, at::Tensor& to, const std::function<int(int)>& part) {
    board_->tensors[static_cast<size_t>(rank_)] = from;
    board_->barrier.arrive_and_wait();
    const int64_t count = to.numel() / size();
    for (int i = 0; i < size(); ++i) {
      if (i == rank_ && from.is_same(to)) continue;
      const at::Tensor& other = board_->tensors[static_cast<size_t>(i)];
      to.narrow(0, i * count, count).copy_(other.narrow(0, part(i) * count, count));
    }
    board_->barrier.arrive_and_wait();
    sent_ += static_cast<int64_t>(from.nbytes()) / size() * (size() - 1);
    return ok_status();
  }

  std::shared_ptr<Board> board_;
  int rank_;
  int64_t sent_ = 0;
};

// Runs member(gang) on a thread for each process of a gang.
inline void run_gang(int size, const std::function<void(const std::shared_ptr<Gang>&)>& member) {
  const auto board = std::make_shared<ThreadGang::Board>(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] { member(std::make_shared<ThreadGang>(board, rank)); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace longshot::train
