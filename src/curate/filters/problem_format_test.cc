#include "curate/filters/problem_format.h"

#include <gtest/gtest.h>

#include <map>

#include "base/os/fs.h"
#include "base/text/text.h"

namespace longshot::curate {
namespace {

struct Labelled {
  ProblemFormat format;
  std::string problem, answer;
};

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find('\t', at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

std::vector<Labelled> labelled_rows() {
  const auto text =
      read_file(LONGSHOT_SOURCE_DIR "/src/curate/filters/testdata/formats.tsv").value();
  std::vector<Labelled> rows;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with('#')) continue;
    const auto fields = fields_of(line);
    const auto format = value_of<ProblemFormat>(fields[0]);
    EXPECT_TRUE(format.has_value()) << line;
    std::string problem = fields[1];
    replace_all(problem, "\\n", "\n");
    rows.push_back({format.value_or(ProblemFormat::open), problem,
                    fields.size() > 2 ? fields[2] : std::string()});
  }
  return rows;
}

// A problem is to be filtered if its label is not open.
TEST(ProblemFormats, AreRecognisedInManyWordings) {
  const FormatFinder finder;
  const auto rows = labelled_rows();
  ASSERT_GE(rows.size(), 300U);
  int right = 0, wrong = 0, missed = 0, kinds = 0;
  for (const Labelled& row : rows) {
    const auto found = finder.find(row.problem, row.answer);
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    const bool closed = row.format != ProblemFormat::open;
    const bool told = found->format != ProblemFormat::open;
    right += closed && told;
    wrong += !closed && told;
    missed += closed && !told;
    kinds += closed && found->format == row.format;
    if (closed != told || (closed && found->format != row.format))
      printf("%s, not %s (%s): %s\n", name_of(row.format), name_of(found->format),
             found->words.c_str(), row.problem.c_str());
  }
  const double precision = right / static_cast<double>(right + wrong);
  const double recall = right / static_cast<double>(right + missed);
  printf("%zu rows: precision %.4f, recall %.4f; the kind is right in %d of %d\n", rows.size(),
         precision, recall, kinds, right);
  EXPECT_GE(precision, 0.97);
  EXPECT_GE(recall, 0.97);
  EXPECT_GE(kinds, 0.95 * right);
}

// The answers of a data set are not always there.
TEST(ProblemFormats, AreMostlyRecognisedWithoutAnswers) {
  const FormatFinder finder;
  int found = 0, all = 0;
  for (const Labelled& row : labelled_rows()) {
    if (row.format == ProblemFormat::open) continue;
    ++all;
    found += finder.find(row.problem, "")->format != ProblemFormat::open;
  }
  printf("without answers: recall %.4f\n", found / static_cast<double>(all));
  EXPECT_GE(found, 0.88 * all);
}

TEST(ProblemFormats, NameTheirWords) {
  const FormatFinder finder;
  EXPECT_EQ(finder.find("Prove that 2 is even.", "")->words, "Prove that");
  EXPECT_EQ(finder.find("Find x.", "true")->words, "true");
  EXPECT_EQ(find_options("Pick: (A) 1 (B) 2 (C) 3"), "(A) 1 (B) 2 (C)");
  EXPECT_TRUE(find_options("(A) 1 (B) 2").empty());
}

}  // namespace
}  // namespace longshot::curate
