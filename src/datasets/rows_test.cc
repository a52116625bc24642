#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/rng.h"
#include "datasets/prompts.h"
#include "datasets/rows.h"
#include "datasets/schema.h"

namespace longshot::datasets {
namespace {

using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  Files() : directory_(testing::TempDir() + "longshot_rows_" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~Files() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  Result<std::vector<data::Prompt>> prompts(const std::string& content,
                                            const ColumnMapping& mapping = {}) {
    return read_prompts({write("rows.jsonl", content)}, mapping);
  }
  std::string error_of(const std::string& content, const ColumnMapping& mapping = {}) {
    const auto result = prompts(content, mapping);
    return result.ok() ? "" : result.status().message();
  }

  std::string directory_;
};

TEST_F(Files, JsonlRowsKnowTheirLine) {
  const auto path = write("a.jsonl", "\xef\xbb\xbf{\"text\":\"x\"}\r\n\n  {\"text\":\"y\"}");
  const auto rows = read_rows({path});
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].where, path + ":1");
  EXPECT_EQ((*rows)[1].where, path + ":3");
  EXPECT_EQ((*rows)[1].json["text"], "y");
}

TEST_F(Files, BadLinesNameFileAndLine) {
  EXPECT_THAT(error_of("{\"prompt\":\"a\"}\n{\"prompt\": tru}\n"),
              HasSubstr("rows.jsonl:2: not valid JSON"));
  EXPECT_THAT(error_of("[{\"prompt\":\"a\"}]\n"),
              HasSubstr("rows.jsonl:1: a row must be a JSON object"));
  EXPECT_THAT(error_of("{\"question\":\"a\",\"x\":1}"),
              HasSubstr("rows.jsonl:1: no known row form: columns are [question, x]"));
  EXPECT_THAT(error_of("{\"question\":\"a\",\"x\":1}"), HasSubstr("data.prompt_key=question"));
  EXPECT_THAT(error_of("\n\n"), HasSubstr("no rows"));
}

TEST_F(Files, FilesThatAreNotWhatTheySayAreErrors) {
  EXPECT_THAT(read_rows({write("a.parquet", "{}")}).status().message(),
              HasSubstr("a.parquet: not a parquet file"));
  EXPECT_THAT(read_rows({write("b.jsonl", "PAR1 and nothing more")}).status().message(),
              HasSubstr("b.jsonl"));
  EXPECT_THAT(read_rows({directory_ + "/none.jsonl"}).status().message(), HasSubstr("none.jsonl"));
}

TEST_F(Files, VerlRowBecomesPrompt) {
  const auto result = prompts(
      R"({"data_source":"gsm8k","prompt":[{"role":"system","content":"S"},{"role":"user","content":"U"}],)"
      R"("ability":"math","reward_model":{"style":"rule","ground_truth":"72"},)"
      R"("extra_info":{"index":7,"split":"train","difficulty":2.5}})");
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  const data::Prompt& p = result->front();
  EXPECT_EQ(p.id, "gsm8k/train/7");
  EXPECT_EQ(p.data_source, "gsm8k");
  EXPECT_EQ(p.messages[1].content, "U");
  EXPECT_EQ(p.text, "");
  EXPECT_EQ(p.ground_truth, "72");
  EXPECT_EQ(p.difficulty, 2.5);
  EXPECT_EQ(p.extra_info["ability"], "math");
  EXPECT_FALSE(p.extra_info.contains("reward_model"));
}

TEST_F(Files, ContentKeepsItsForm) {
  const auto result = prompts(
      R"({"prompt":[{"role":"user","content":"ab"}]})"
      "\n"
      R"({"prompt":[{"role":"user","content":[{"type":"text","text":"ab"}]}]})"
      "\n"
      R"({"prompt":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  using Parts = std::vector<data::ContentPart>;
  EXPECT_EQ((*result)[0].messages[0].content, "ab");
  EXPECT_EQ((*result)[1].messages[0].content, (Parts{{data::PartKind::text, "ab"}}));
  EXPECT_EQ((*result)[2].messages[0].content,
            (Parts{{data::PartKind::text, "a"}, {data::PartKind::text, "b"}}));
  EXPECT_NE((*result)[0].id, (*result)[1].id);
  EXPECT_NE((*result)[1].id, (*result)[2].id);
}

// Runs are resumed by the version that follows: what it looks up must be what was written.
TEST_F(Files, IdsFromTheContentStayTheSame) {
  const auto result = prompts(
      R"({"prompt":[{"role":"system","content":"S"},{"role":"user","content":"ab"}],"answer":"1"})"
      "\n"
      R"({"prompt":[{"role":"user","content":[{"type":"text","text":"ab"}]}],"answer":"1"})");
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ((*result)[0].id, "1cebb4d0d4a49515");
  EXPECT_EQ((*result)[1].id, "bc7949d9677eec23");
}

TEST_F(Files, GroundTruthMayBeTextNumberOrObject) {
  const auto result =
      prompts(R"({"prompt":"a","ground_truth":"x"})"
              "\n"
              R"({"prompt":"b","answer":12})"
              "\n"
              R"({"prompt":"c","solution":0.5})"
              "\n"
              R"({"prompt":"d","reward_model":{"ground_truth":{"target":3,"numbers":[1,2]}}})");
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ((*result)[0].ground_truth, "x");
  EXPECT_EQ((*result)[1].ground_truth, "12");
  EXPECT_EQ((*result)[2].ground_truth, "0.5");
  EXPECT_EQ((*result)[3].ground_truth, R"({"numbers":[1,2],"target":3})");
  EXPECT_FALSE((*result)[1].extra_info.contains("answer"));
}

TEST_F(Files, ColumnMappingRenamesColumns) {
  ColumnMapping mapping;
  mapping.prompt = "question";
  mapping.ground_truth = "key";
  mapping.data_source = "set";
  mapping.difficulty = "level";
  mapping.system_prompt = "Be brief.";
  const auto result =
      prompts(R"({"question":"Q","key":"K","set":"s","level":4,"tests":[1]})", mapping);
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  const data::Prompt& p = result->front();
  ASSERT_EQ(p.messages.size(), 2u);
  EXPECT_EQ(p.messages[0].content, "Be brief.");
  EXPECT_EQ(p.messages[1].content, "Q");
  EXPECT_EQ(p.ground_truth, "K");
  EXPECT_EQ(p.difficulty, 4);
  EXPECT_EQ(p.extra_info, Json({{"tests", {1}}, {"level", 4}}));
  EXPECT_THAT(error_of(R"({"question":"Q","set":"s","level":4})", mapping),
              HasSubstr("'key' is missing"));
  EXPECT_THAT(error_of(R"({"question":"Q","key":"K","level":"hard"})", mapping),
              HasSubstr("'level' has the wrong type"));
  EXPECT_THAT(
      error_of(R"({"question":[{"role":"system","content":"x"}],"key":"K","level":1})", mapping),
      HasSubstr("system message of its own; leave out data.system_prompt (--system)"));
}

TEST_F(Files, TextsAreCountedBeforeTheyBecomeChats) {
  ColumnMapping mapping;
  mapping.system_prompt = "Be brief.";
  const std::string path =
      write("rows.jsonl", R"({"prompt":"a","answer":"1"})"
                          "\n"
                          R"({"prompt":[{"role":"user","content":"b"}],"answer":"1"})"
                          "\n");
  size_t texts = 7;
  const auto result = read_prompts({path}, mapping, &texts);
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ(texts, 1u);
  for (const data::Prompt& prompt : *result) EXPECT_EQ(prompt.messages.size(), 2u);
}

TEST_F(Files, IdsAreStableAndUnique) {
  const std::string rows = R"({"prompt":"a","answer":"1"})"
                           "\n"
                           R"({"prompt":"b","answer":"1"})"
                           "\n";
  const auto first = prompts(rows), second = prompts("\n" + rows);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ((*first)[0].id, (*second)[0].id);
  EXPECT_NE((*first)[0].id, (*first)[1].id);
  EXPECT_EQ((*first)[0].id.size(), 16u);
  const auto given = prompts(R"({"id":"q1","data_source":"d","prompt":"a","answer":"1"})");
  EXPECT_EQ(given->front().id, "d/q1");
}

std::vector<std::string> ids_of(const Result<std::vector<data::Prompt>>& prompts) {
  std::vector<std::string> ids;
  for (const data::Prompt& p : *prompts) ids.push_back(p.id);
  return ids;
}

// avg@32 files, two files that both count from 0, the same problem twice.
TEST_F(Files, RowsThatRepeatAreNumberedAndRowsBehindThemChangeNothing) {
  const std::string row =
      R"({"data_source":"d","prompt":"a","answer":"1","extra_info":{"index":0}})"
      "\n";
  const std::string other =
      R"({"data_source":"d","prompt":"b","answer":"2","extra_info":{"index":0}})"
      "\n";
  testing::internal::CaptureStderr();
  const auto repeated = prompts(row + other + row);
  const std::string log = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(repeated.ok()) << repeated.status().to_string();
  EXPECT_EQ(ids_of(repeated), (std::vector<std::string>{"d/0", "d/0#2", "d/0#3"}));
  EXPECT_THAT(log, HasSubstr("2 of 3 rows"));
  EXPECT_THAT(log, HasSubstr("rows.jsonl:2 repeats " + directory_ + "/rows.jsonl:1"));
  const auto longer = prompts(row + other + row + other + row);
  EXPECT_EQ(ids_of(longer), (std::vector<std::string>{"d/0", "d/0#2", "d/0#3", "d/0#4", "d/0#5"}));
  const auto two = read_prompts({write("one.jsonl", row), write("two.jsonl", other)}, {});
  EXPECT_EQ(ids_of(two), (std::vector<std::string>{"d/0", "d/0#2"}));
}

TEST_F(Files, ANumberedIdThatARowHasAlreadyIsNotGivenAgain) {
  const auto list = prompts(
      "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"a#2\",\"prompt\":\"y\"}\n"
      "{\"id\":\"a\",\"prompt\":\"z\"}\n{\"id\":\"a#2\",\"prompt\":\"w\"}\n");
  EXPECT_EQ(ids_of(list), (std::vector<std::string>{"a", "a#2", "a#3", "a#2#2"}));
}

TEST_F(Files, APipeIsReadLikeAFile) {
  const std::string path = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << "{\"text\":\"x\"}\n"; });
  const auto rows = read_rows({path});
  writer.join();
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(rows->front().json["text"], "x");
  EXPECT_EQ(read_rows({directory_}).status().code(), StatusCode::invalid_argument);
}

TEST_F(Files, RowsThatCannotBePromptsAreRefusedWithAPointer) {
  EXPECT_THAT(error_of(R"({"prompt":"a","chosen":"b","rejected":"c"})"), HasSubstr("longshot rm"));
  EXPECT_THAT(error_of(R"({"messages":[{"role":"user","content":"b"}]})"),
              HasSubstr("longshot sft"));
  EXPECT_THAT(error_of(R"({"text":"b"})"), HasSubstr("longshot sft"));
  EXPECT_THAT(error_of(R"({"prompt":""})"), HasSubstr("'prompt' is empty"));
  EXPECT_THAT(error_of(R"({"prompt":5})"), HasSubstr("must be a list of messages"));
  EXPECT_THAT(error_of(R"({"prompt":[{"content":"x"}]})"),
              HasSubstr("message 1: key 'role' is missing"));
  EXPECT_THAT(error_of(R"({"prompt":[{"role":"user"}]})"), HasSubstr("key 'content' is missing"));
  EXPECT_THAT(
      error_of(R"({"prompt":[{"role":"user","content":[{"type":"image"}]}]})"),
      HasSubstr("rows.jsonl:1: 'prompt': message 1: part 1 of 'content' is of type 'image'; "
                "only parts of type 'text' are supported"));
  EXPECT_THAT(error_of(R"({"prompt":[{"role":"assistant","content":"x"}]})"),
              HasSubstr("ends with an assistant turn"));
  EXPECT_THAT(error_of(R"({"prompt":"a","reward_model":{}})"),
              HasSubstr("'reward_model' has no 'ground_truth'"));
  EXPECT_THAT(error_of(R"({"prompt":"a","extra_info":"x"})"),
              HasSubstr("'extra_info' must be an object"));
  EXPECT_THAT(error_of("{\"prompt\":\"a\",\"answer\":1}\n{\"prompt\":\"b\"}"),
              HasSubstr("rows.jsonl:2: no ground truth"));
}

TEST_F(Files, PromptsWithoutAnyGroundTruthAreAllowed) {
  const auto result = prompts(
      "{\"prompt\":\"a\"}\n{\"prompt\":[{\"role\":"
      "\"user\",\"content\":\"b\"}]}");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ((*result)[0].text, "a");
  EXPECT_EQ((*result)[1].messages[0].content, "b");
}

TEST(Schema, IsToldFromColumns) {
  const auto form = [](const char* json) {
    const auto schema = detect_schema({Json::parse(json), "f:1"});
    return schema.ok() ? schema_name(*schema) : "none";
  };
  EXPECT_STREQ(form(R"({"prompt":"a","data_source":"d"})"), "verl");
  EXPECT_STREQ(form(R"({"prompt":"a","answer":"d"})"), "prompt");
  EXPECT_STREQ(form(R"({"prompt":"a","completion":"d"})"), "prompt+completion");
  EXPECT_STREQ(form(R"({"prompt":"a","completion":null})"), "prompt");
  EXPECT_STREQ(form(R"({"messages":[]})"), "messages");
  EXPECT_STREQ(form(R"({"prompt":"a","chosen":"b","rejected":"c"})"), "prompt+chosen+rejected");
  EXPECT_STREQ(form(R"({"text":"a"})"), "text");
  EXPECT_STREQ(form(R"({"prompt":null})"), "none");
}

// For any content of a file, reading it ends with rows or with an error that names the file.
TEST_F(Files, RandomDamageIsAnErrorOrARow) {
  const std::string good =
      R"({"data_source":"d","prompt":[{"role":"user","content":"a b"}],"reward_model":{"ground_truth":"1"},"extra_info":{"index":0}})"
      "\n"
      R"({"prompt":"x","answer":[1,{"a":null}],"extra_info":{"index":1}})"
      "\n";
  CounterRng rng(20250122);
  const std::string bytes = "{}[]\",:\\0123eE.-ntf\n\r\t \x80\xff";
  int errors = 0;
  for (int round = 0; round < 800; ++round) {
    std::string text = good;
    const auto edits = rng.next_int(1, 4);
    for (int64_t e = 0; e < edits && !text.empty(); ++e) {
      const size_t at = rng.next_below(text.size());
      const char byte = bytes[rng.next_below(bytes.size())];
      switch (rng.next_below(4)) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        case 2:
          text.erase(at, 1 + rng.next_below(8));
          break;
        default:
          text.resize(at);
          break;
      }
    }
    const auto result = prompts(text);
    if (result.ok()) continue;
    ++errors;
    ASSERT_THAT(result.status().message(), HasSubstr("rows.jsonl")) << text;
  }
  EXPECT_GT(errors, 300);
}

}  // namespace
}  // namespace longshot::datasets
