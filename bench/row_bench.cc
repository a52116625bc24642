// Time and peak memory of the rows of supervised training: all in memory, and streamed with buffers
// of several sizes.
//   row_bench FILE ROWS: writes ROWS rows of 333 bytes to FILE, reads them in each way and removes
//   FILE.
// Each way is a process of its own, so that its peak memory is its own. Every row is tokenized, one
// token for each character.

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/os/clock.h"
#include "base/rng.h"
#include "datasets/shuffled_stream.h"
#include "datasets/supervised.h"

namespace longshot {
namespace {

using datasets::SupervisedExample;

constexpr int kMaxLength = 1000;
constexpr const char* kAlphabet = "abcdefghijklmnopqrstuvwxyz ";

void write_rows(const std::string& path, int64_t rows) {
  std::ofstream file(path);
  CounterRng rng(1);
  const std::string letters = kAlphabet;
  for (int64_t r = 0; r < rows; ++r) {
    std::string text(300, ' ');
    for (char& c : text) c = letters[rng.next_below(letters.size())];
    file << R"({"prompt": ")" << text.substr(0, 100) << R"(", "completion": ")" << text.substr(100)
         << "\"}\n";
  }
}

struct Reader {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer =
      tokenizer::make_character_tokenizer(kAlphabet).value();
  tokenizer::ChatTemplate plain = tokenizer::ChatTemplate::of_family("plain").value();
  datasets::SupervisedEncoder encoder{*tokenizer, plain, 1};

  int64_t all(const std::string& path) {
    int dropped = 0;
    const auto examples =
        datasets::read_examples<SupervisedExample>({path}, encoder, kMaxLength, &dropped);
    return static_cast<int64_t>(examples.value().size());
  }

  int64_t stream(const std::string& path, size_t buffer) {
    datasets::ShuffledStream<SupervisedExample> rows(
        datasets::RowStream::open({path}).value(), buffer, 1, [this](const datasets::Row& row) {
          return datasets::encode_within(encoder, row, kMaxLength);
        });
    while (rows.peek().value() != nullptr) rows.take();
    return rows.given();
  }
};

// buffer 0: all rows in memory.
void measure(const std::string& path, size_t buffer) {
  const pid_t child = ::fork();
  if (child == 0) {
    Reader reader;
    const Stopwatch watch;
    const int64_t rows = buffer == 0 ? reader.all(path) : reader.stream(path, buffer);
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    const std::string way = buffer == 0 ? "in memory" : fmt::format("buffer of {}", buffer);
    fmt::print("{:<18} {:>9} rows {:>7.1f} s {:>9.1f} MiB\n", way, rows, watch.seconds(),
               static_cast<double>(use.ru_maxrss) / 1024);
    std::fflush(stdout);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

int run(const std::string& path, int64_t rows) {
  write_rows(path, rows);
  fmt::print("{}: {:.1f} MiB\n", path,
             static_cast<double>(std::filesystem::file_size(path)) / (1024 * 1024));
  std::fflush(stdout);
  for (const size_t buffer : {size_t{0}, size_t{1000}, size_t{10'000}, size_t{100'000}})
    measure(path, buffer);
  std::filesystem::remove(path);
  return 0;
}

}  // namespace
}  // namespace longshot

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: row_bench FILE ROWS\n");
    return 2;
  }
  return longshot::run(argv[1], std::atoll(argv[2]));
}
