// Instructions about words and letters.
#include <algorithm>

#include "reward/rules/ifeval/characters.h"
#include "reward/rules/ifeval/instruction_kinds.h"
#include "reward/rules/ifeval/language.h"
#include "reward/rules/ifeval/sentences.h"

namespace longshot::reward {
namespace {

Result<std::vector<Regex>> regexes(const std::vector<std::string>& words, const std::string& edge,
                                   const std::string& where) {
  std::vector<Regex> out;
  for (const std::string& word : words) {
    LS_ASSIGN_OR_RETURN(Regex regex, python_regex(edge + word + edge, "i", where));
    out.push_back(std::move(regex));
  }
  return out;
}

int64_t count_words(std::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (const char32_t c : code_points(text)) {
    const bool word = is_unicode_word(c);
    if (word && !inside) ++words;
    inside = word;
  }
  return words;
}

// Texts whose language cannot be guessed count as English.
bool is_english(const std::string& text) {
  return language_of(text).value_or("en") == "en";
}

}  // namespace

// Keywords are expressions, as in the published checkers.
Result<FollowsInstruction> make_keywords(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto words, arguments.texts("keywords"));
  LS_ASSIGN_OR_RETURN(auto all, regexes(words, "", arguments.where()));
  return FollowsInstruction([all](const std::string& response) -> Result<bool> {
    for (const Regex& regex : all) {
      LS_ASSIGN_OR_RETURN(const auto match, regex.search(response));
      if (!match) return false;
    }
    return true;
  });
}

Result<FollowsInstruction> make_forbidden_words(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto words, arguments.texts("forbidden_words"));
  LS_ASSIGN_OR_RETURN(auto all, regexes(words, "\\b", arguments.where()));
  return FollowsInstruction([all](const std::string& response) -> Result<bool> {
    for (const Regex& regex : all) {
      LS_ASSIGN_OR_RETURN(const auto match, regex.search(response));
      if (match) return false;
    }
    return true;
  });
}

Result<FollowsInstruction> make_keyword_frequency(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto word, arguments.text("keyword"));
  LS_ASSIGN_OR_RETURN(const int times, arguments.count("frequency"));
  LS_ASSIGN_OR_RETURN(const Relation relation, arguments.relation("relation"));
  LS_ASSIGN_OR_RETURN(const Regex regex,
                      python_regex(std::string(strip(word)), "i", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto all, regex.find_all(response));
    return holds(static_cast<int64_t>(all.size()), relation, times);
  });
}

// The published checkers count a random letter if the given one is not in a to z, for example '#'.
Result<FollowsInstruction> make_letter_frequency(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto given, arguments.text("letter"));
  LS_ASSIGN_OR_RETURN(const int times, arguments.count("let_frequency"));
  LS_ASSIGN_OR_RETURN(const Relation relation, arguments.relation("let_relation"));
  const std::u32string letter = code_points(lowered(given));
  if (letter.size() != 1)
    return invalid_argument(arguments.where() + ": 'letter' must be one character");
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    const std::u32string all = code_points(lowered(response));
    return holds(std::count(all.begin(), all.end(), letter[0]), relation, times);
  });
}

Result<FollowsInstruction> make_language(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto language, arguments.text("language"));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    return language_of(response).value_or(language) == language;
  });
}

Result<FollowsInstruction> make_capital_words(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int times, arguments.count("capital_frequency"));
  LS_ASSIGN_OR_RETURN(const Relation relation, arguments.relation("capital_relation"));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto words, words_of_sentences(response));
    const auto is_capital = [](const std::string& word) { return is_upper_text(word); };
    return holds(std::count_if(words.begin(), words.end(), is_capital), relation, times);
  });
}

Result<FollowsInstruction> make_all_capitals(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    return is_upper_text(response) && is_english(response);
  });
}

Result<FollowsInstruction> make_all_lowercase(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    return is_lower_text(response) && is_english(response);
  });
}

Result<FollowsInstruction> make_no_comma(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    return response.find(',') == std::string::npos;
  });
}

Result<FollowsInstruction> make_word_count(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int words, arguments.count("num_words"));
  LS_ASSIGN_OR_RETURN(const Relation relation, arguments.relation("relation"));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    return holds(count_words(response), relation, words);
  });
}

Result<FollowsInstruction> make_sentence_count(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int sentences, arguments.count("num_sentences"));
  LS_ASSIGN_OR_RETURN(const Relation relation, arguments.relation("relation"));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    return holds(static_cast<int64_t>(sentences_of(response).size()), relation, sentences);
  });
}

}  // namespace longshot::reward
