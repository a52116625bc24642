// Rows in compressed files.

#include "datasets/text_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "datasets/gzip_testing.h"
#include "datasets/row_stream.h"
#include "datasets/rows.h"

namespace longshot::datasets {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Compressed : public testing::Test {
 protected:
  Compressed() : folder_(testing::TempDir() + "longshot_gzip_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Compressed() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::string error_of(const std::string& path) {
    return read_rows({path}).status().message();
  }

  std::string folder_;
};

// {"n": first} and so on, a line each.
std::string numbered(int first, int count) {
  std::string text;
  for (int n = first; n < first + count; ++n) text += "{\"n\":" + std::to_string(n) + "}\n";
  return text;
}

std::vector<int> numbers(const std::vector<Row>& rows) {
  std::vector<int> list;
  for (const Row& row : rows) list.push_back(row.json["n"]);
  return list;
}

TEST_F(Compressed, RowsAreThoseOfThePlainFile) {
  const std::string text = "\xef\xbb\xbf{\"n\":1}\r\n\r\n  {\"n\":2}\r\n{\"n\":3}";
  const auto plain = read_rows({write("a.jsonl", text)});
  ASSERT_TRUE(plain.ok()) << plain.status().to_string();
  // Members may end within a line.
  const std::string members = gzipped(text.substr(0, 12)) + gzipped(text.substr(12));
  for (const auto& [name, bytes] :
       {std::pair{"a.jsonl.gz", gzipped(text)}, std::pair{"b.json.gz", members},
        std::pair{"no_suffix.jsonl", members}}) {
    const std::string path = write(name, bytes);
    const auto rows = read_rows({path});
    ASSERT_TRUE(rows.ok()) << rows.status().to_string();
    EXPECT_EQ(numbers(*rows), numbers(*plain));
    EXPECT_EQ((*rows)[1].where, path + ":3");
    EXPECT_EQ((*rows)[2].where, path + ":4");
  }
}

TEST_F(Compressed, PatternsAndPipesAreRead) {
  write("part-0.jsonl.gz", gzipped(numbered(0, 2)));
  write("part-1.jsonl.gz", gzipped(numbered(2, 2)));
  write("part-2.jsonl.gz", gzipped(""));
  const auto rows = read_rows({folder_ + "/part-*.jsonl.gz"});
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(numbers(*rows), (std::vector<int>{0, 1, 2, 3}));
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(fifo) << gzipped(numbered(7, 1)); });
  const auto piped = read_rows({fifo});
  writer.join();
  ASSERT_TRUE(piped.ok()) << piped.status().to_string();
  EXPECT_EQ(numbers(*piped), std::vector<int>{7});
}

TEST_F(Compressed, ABadRowIsNamedByItsLine) {
  const auto path = write("a.jsonl.gz", gzipped("{\"n\":1}\n") + gzipped("\n{bad}\n"));
  EXPECT_THAT(error_of(path), HasSubstr("a.jsonl.gz:3: not valid JSON"));
}

TEST_F(Compressed, FilesThatEndTooEarlyOrAreDamagedAreNamed) {
  const std::string good = gzipped(numbered(0, 20000));
  EXPECT_THAT(error_of(write("cut.jsonl.gz", good.substr(0, good.size() / 2))),
              AllOf(HasSubstr("cut.jsonl.gz:"), HasSubstr("end too early"),
                    HasSubstr("fetch or write it again")));
  EXPECT_THAT(error_of(write("tail.jsonl.gz", good.substr(0, good.size() - 1))),
              HasSubstr("tail.jsonl.gz:20001: the gzip data end too early"));
  std::string damaged = good;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  EXPECT_THAT(
      error_of(write("sum.jsonl.gz", damaged)),
      AllOf(HasSubstr("sum.jsonl.gz:20001: the gzip data are damaged"), HasSubstr("gzip -t")));
  EXPECT_THAT(error_of(write("zero.jsonl.gz", "")), HasSubstr("zero.jsonl.gz: the gzip data end"));
  EXPECT_THAT(error_of(write("magic.jsonl", "\x1f\x8b\x08")),
              HasSubstr("magic.jsonl: the gzip data end too early"));
}

TEST_F(Compressed, OtherContentIsRefusedWithAdvice) {
  EXPECT_THAT(error_of(write("plain.jsonl.gz", numbered(0, 1))),
              HasSubstr("plain.jsonl.gz: is not compressed with gzip"));
  EXPECT_THAT(error_of(write("a.parquet.gz", gzipped("PAR1 and more"))),
              HasSubstr("a.parquet.gz: is a parquet file inside a gzip file; gunzip it first"));
  EXPECT_THAT(error_of(write("a.jsonl.zst", "\x28\xb5\x2f\xfd and more")),
              HasSubstr("a.jsonl.zst: is compressed with zstd"));
}

// A stream takes the file as one piece, and continues from every row.
TEST_F(Compressed, AStreamContinuesExactly) {
  const std::vector<std::string> files = {write("a.jsonl.gz", gzipped(numbered(0, 30))),
                                          write("b.jsonl", numbered(30, 9)),
                                          write("c.jsonl.gz", gzipped(numbered(39, 1000)))};
  for (const std::optional<uint64_t> key :
       {std::optional<uint64_t>(), std::optional<uint64_t>(5)}) {
    RowStream whole = RowStream::open(files, 20).value();
    whole.start(key);
    std::vector<Json> positions;
    std::vector<Row> rows;
    for (positions.push_back(whole.position());; positions.push_back(whole.position())) {
      auto row = whole.next();
      ASSERT_TRUE(row.ok()) << row.status().to_string();
      if (!*row) break;
      rows.push_back(std::move(**row));
    }
    ASSERT_EQ(rows.size(), 1039u);
    for (size_t i = 0; i < rows.size(); i += i < 50 ? 1 : 97) {
      RowStream again = RowStream::open(files, 20).value();
      ASSERT_TRUE(again.seek(positions[i], "checkpoint").ok());
      const auto row = again.next();
      ASSERT_TRUE(row.ok() && *row) << row.status().to_string();
      EXPECT_EQ((*row)->json, rows[i].json);
      EXPECT_EQ((*row)->where, rows[i].where);
    }
  }
}

TEST_F(Compressed, AStreamNamesDamage) {
  const std::string good = gzipped(numbered(0, 20000));
  RowStream stream =
      RowStream::open({write("cut.jsonl.gz", good.substr(0, good.size() / 2))}).value();
  Status status;
  for (bool more = true; more && status.ok();) {
    const auto row = stream.next();
    status = row.status();
    more = row.ok() && row->has_value();
  }
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("cut.jsonl.gz:"), HasSubstr("the gzip data end too early")));
}

}  // namespace
}  // namespace longshot::datasets
