#include "curate/select/thinking_marks.h"

#include <gtest/gtest.h>

#include "base/os/fs.h"
#include "datasets/rows.h"

namespace longshot::curate {
namespace {

TEST(CountMarks, CountsPhrasesByKind) {
  EXPECT_EQ(count_marks(""), (MarkCounts{0, 0, 0, 0}));
  EXPECT_EQ(count_marks("My plan is to try. Let me check. Wait! Alternatively, 3."),
            (MarkCounts{1, 1, 1, 1}));
  EXPECT_EQ(count_marks("WAIT. wait, wait"), (MarkCounts{0, 0, 3, 0}));
  EXPECT_EQ(count_marks("Here\xE2\x80\x99s the plan"), (MarkCounts{1, 0, 0, 0}));
}

TEST(CountMarks, PhrasesAreWholeWords) {
  EXPECT_EQ(count_marks("The waiter awaits. Await_ed waits."), (MarkCounts{0, 0, 0, 0}));
  EXPECT_EQ(count_marks("wait"), (MarkCounts{0, 0, 1, 0}));
  EXPECT_EQ(count_marks("\xE7\xAD\x89\xE7\xAD\x89wait\xE7\xAD\x89\xE7\xAD\x89"),
            (MarkCounts{0, 0, 3, 0}));
}

TEST(CountMarks, OverlappingPhrasesCountOnce) {
  EXPECT_EQ(count_marks("here is the plan: add"), (MarkCounts{1, 0, 0, 0}));
}

// Of the labelled traces: precision = correct findings / findings, recall = correct findings /
// labels. The traces contain ways to say it that are not in the lists.
TEST(CountMarks, FindsLabelledTraces) {
  std::string path = LONGSHOT_SOURCE_DIR;
  path += "/src/curate/select/thinking_traces.jsonl";
  const auto rows = datasets::read_rows({path});
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_GE(rows->size(), 48u);
  for (const ThinkingMark mark : all_of<ThinkingMark>()) {
    double found = 0, labelled = 0, both = 0;
    for (const auto& row : *rows) {
      const bool is_found =
          count_marks(row.json["text"].get<std::string>())[static_cast<size_t>(mark)] > 0;
      const Json& marks = row.json["marks"];
      const bool is_labelled = std::find(marks.begin(), marks.end(), name_of(mark)) != marks.end();
      found += is_found;
      labelled += is_labelled;
      both += is_found && is_labelled;
      if (is_found != is_labelled)
        std::printf("%s: %s %s\n", name_of(mark), is_found ? "found in" : "missed in",
                    row.where.c_str());
    }
    std::printf("%s: %g traces, precision %.3f, recall %.3f\n", name_of(mark), labelled,
                both / found, both / labelled);
    EXPECT_GE(both / found, 0.9) << name_of(mark);
    EXPECT_GE(both / labelled, 0.8) << name_of(mark);
    EXPECT_GE(labelled, 10) << name_of(mark);
  }
}

}  // namespace
}  // namespace longshot::curate
