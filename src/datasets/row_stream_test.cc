#include "datasets/row_stream.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace longshot::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Stream : public testing::Test {
 protected:
  Stream() : folder_(testing::TempDir() + "longshot_stream_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Stream() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  // Rows {"n": first}, {"n": first + 1}, ... of different lengths, with blank lines between.
  std::string jsonl(const std::string& name, int first, int count, bool last_line_ends = true) {
    std::string text;
    for (int n = first; n < first + count; ++n) {
      text += R"({"n": )" + std::to_string(n) + R"(, "x": ")" +
              std::string(static_cast<size_t>(n * 7 % 40), 'x') + "\"}\n";
      if (n % 5 == 3) text += "\n  \r\n";
    }
    if (!last_line_ends) text.pop_back();
    return write(name, text);
  }

  std::string parquet(const std::string& name, int first, int count, int rows_of_group) {
    arrow::Int64Builder numbers;
    for (int n = first; n < first + count; ++n) EXPECT_TRUE(numbers.Append(n).ok());
    const auto table = arrow::Table::Make(arrow::schema({arrow::field("n", arrow::int64())}),
                                          {numbers.Finish().ValueOrDie()});
    const std::string path = folder_ + "/" + name;
    const auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
    EXPECT_TRUE(
        ::parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, rows_of_group)
            .ok());
    EXPECT_TRUE(file->Close().ok());
    return path;
  }

  static RowStream open(const std::vector<std::string>& files, int64_t piece_bytes = 100) {
    auto stream = RowStream::open(files, piece_bytes);
    EXPECT_TRUE(stream.ok()) << stream.status().to_string();
    return std::move(*stream);
  }

  struct Seen {
    int n;
    std::string where;
    bool operator==(const Seen&) const = default;
  };
  static std::vector<Seen> rest(RowStream& stream) {
    std::vector<Seen> rows;
    while (true) {
      const auto row = stream.next();
      EXPECT_TRUE(row.ok()) << row.status().to_string();
      if (!row.ok() || !*row) return rows;
      rows.push_back({(*row)->json["n"].get<int>(), (*row)->where});
    }
  }
  static std::vector<int> numbers(const std::vector<Seen>& rows) {
    std::vector<int> numbers;
    for (const Seen& row : rows) numbers.push_back(row.n);
    return numbers;
  }
  static std::vector<int> zero_to(int count) {
    std::vector<int> numbers(static_cast<size_t>(count));
    for (int n = 0; n < count; ++n) numbers[static_cast<size_t>(n)] = n;
    return numbers;
  }

  // From the position before every row and after the last one, a new stream gives the same rest.
  static void check_every_position(const std::vector<std::string>& files,
                                   std::optional<uint64_t> key) {
    RowStream stream = open(files);
    stream.start(key);
    const auto all = rest(stream);
    stream.start(key);
    for (size_t taken = 0; taken <= all.size(); ++taken) {
      const std::string position = dump_json(stream.position());
      RowStream again = open(files);
      ASSERT_TRUE(again.seek(*parse_json(position, "position"), "checkpoint").ok());
      ASSERT_EQ(rest(again), std::vector<Seen>(all.begin() + static_cast<long>(taken), all.end()))
          << "after " << taken << " rows, at " << position;
      ASSERT_TRUE(stream.next().ok());
    }
  }

  std::string folder_;
};

TEST_F(Stream, InTheOrderOfTheFilesEveryRowKnowsItsLine) {
  const auto a = write("a.jsonl", "\xef\xbb\xbf{\"n\":0}\r\n\n{\"n\":1}\n");
  const auto empty = write("b.jsonl", ""), blank = write("c.jsonl", "\n \n");
  const auto d = write("d.jsonl", "{\"n\":2}\n{\"n\":3}");
  RowStream stream = open({a, empty, blank, d}, 3);
  EXPECT_THAT(rest(stream), ElementsAre(Seen{0, a + ":1"}, Seen{1, a + ":3"}, Seen{2, d + ":1"},
                                        Seen{3, d + ":2"}));
  EXPECT_THAT(rest(stream), ElementsAre());
}

TEST_F(Stream, APieceBorderMayBeAtAnyByte) {
  const auto file = jsonl("a.jsonl", 0, 30, false);
  for (int64_t bytes = 1; bytes < 120; ++bytes) {
    RowStream stream = open({file}, bytes);
    ASSERT_EQ(numbers(rest(stream)), zero_to(30)) << bytes;
    stream.start(uint64_t{7});
    auto shuffled = numbers(rest(stream));
    std::sort(shuffled.begin(), shuffled.end());
    ASSERT_EQ(shuffled, zero_to(30)) << bytes;
  }
}

TEST_F(Stream, ContinuesExactlyFromEveryPosition) {
  const std::vector<std::string> files = {
      jsonl("a.jsonl", 0, 40),          write("empty.jsonl", ""),
      parquet("b.parquet", 40, 30, 7),  jsonl("c.jsonl", 70, 23, false),
      parquet("none.parquet", 0, 0, 5), parquet("d.parquet", 93, 9, 100)};
  check_every_position(files, std::nullopt);
  check_every_position(files, uint64_t{1});
  RowStream stream = open(files);
  EXPECT_EQ(numbers(rest(stream)), zero_to(102));
}

// A row group of more rows than are decoded together.
TEST_F(Stream, ContinuesWithinALargeRowGroup) {
  const auto file = parquet("a.parquet", 0, 5000, 3000);
  for (const int taken : {1023, 1024, 2500, 3000, 4999}) {
    RowStream stream = open({file});
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(stream.next()->has_value());
    RowStream again = open({file});
    ASSERT_TRUE(again.seek(stream.position(), "checkpoint").ok());
    const auto rows = rest(again);
    ASSERT_EQ(rows.size(), static_cast<size_t>(5000 - taken));
    EXPECT_EQ(rows.front(), (Seen{taken, file + ", row " + std::to_string(taken + 1)}));
    EXPECT_EQ(rows.back().n, 4999);
  }
}

TEST_F(Stream, ARandomPassMixesTheWholeFile) {
  RowStream stream = open({jsonl("a.jsonl", 0, 400)});
  const auto pass = [&](uint64_t key) {
    stream.start(key);
    return numbers(rest(stream));
  };
  const auto first = pass(1);
  EXPECT_EQ(pass(1), first);
  EXPECT_NE(pass(2), first);
  // The mean of the first quarter is near that of all rows, not near that of the first 100.
  double sum = 0;
  for (int i = 0; i < 100; ++i) sum += first[static_cast<size_t>(i)];
  EXPECT_NEAR(sum / 100, 199.5, 60);
}

TEST_F(Stream, BadRowsAreNamedByTheirLineOrByte) {
  const auto file = write("a.jsonl", "{\"n\":0}\n{\"n\":1}\n{bad}\n");
  RowStream stream = open({file}, 1000);
  ASSERT_TRUE(stream.next().ok() && stream.next().ok());
  EXPECT_THAT(stream.next().status().message(), HasSubstr("a.jsonl:3: not valid JSON"));
  RowStream pieces = open({file}, 8);
  for (uint64_t key = 0;;
       ++key) {  // until the piece of the bad row is not read after its neighbour
    ASSERT_LT(key, 50u);
    pieces.start(key);
    Status status;
    while (status.ok()) status = pieces.next().status();
    if (status.message().find("a.jsonl, byte 16: not valid JSON") != std::string::npos) break;
    EXPECT_THAT(status.message(), HasSubstr("a.jsonl:3: not valid JSON"));
  }
}

TEST_F(Stream, AChangedFileIsNamed) {
  const auto a = jsonl("a.jsonl", 0, 5), b = jsonl("b.jsonl", 5, 5);
  RowStream stream = open({a, b});
  ASSERT_TRUE(stream.next().ok());
  const Json position = stream.position();
  EXPECT_TRUE(open({a, b}).seek(position, "checkpoint").ok());
  EXPECT_THAT(open({a}).seek(position, "checkpoint").message(),
              HasSubstr("checkpoint: the data set had 2 files and has 1 now"));
  jsonl("b.jsonl", 6, 5);
  EXPECT_THAT(open({a, b}).seek(position, "checkpoint").message(),
              HasSubstr("checkpoint: " + b + " has another content now"));
}

TEST_F(Stream, APipeAndAFolderAreRefused) {
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(RowStream::open({fifo}).status().message(), HasSubstr("is a pipe"));
  EXPECT_THAT(RowStream::open({"-"}).status().message(), HasSubstr("is a pipe"));
  EXPECT_THAT(RowStream::open({folder_}).status().message(), HasSubstr("is a directory"));
  EXPECT_THAT(RowStream::open({folder_ + "/none.jsonl"}).status().message(),
              HasSubstr("none.jsonl"));
}

TEST_F(Stream, APositionThatDoesNotFitIsAnError) {
  const auto file = jsonl("a.jsonl", 0, 5);
  RowStream stream = open({file});
  Json position = stream.position();
  position["piece"] = 1000;
  EXPECT_THAT(stream.seek(position, "checkpoint").message(), HasSubstr("beyond the data set"));
  EXPECT_THAT(stream.seek(Json::object(), "checkpoint").message(), HasSubstr("checkpoint"));
}

}  // namespace
}  // namespace longshot::datasets
