// Instructions about the parts of a response and their marks.
#include <algorithm>

#include "base/json.h"
#include "reward/rules/ifeval/characters.h"
#include "reward/rules/ifeval/instruction_kinds.h"

namespace longshot::reward {
namespace {

std::string_view strip_of(std::string_view text, std::string_view left, std::string_view right) {
  const size_t first = left.empty() ? 0 : text.find_first_not_of(left);
  if (first == text.npos) return "";
  text.remove_prefix(first);
  if (!right.empty()) text = text.substr(0, text.find_last_not_of(right) + 1);
  return text;
}

Result<FollowsInstruction> at_least(const std::string& pattern, int count,
                                    const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Regex regex, python_regex(pattern, "", where));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto all, regex.find_all(response));
    return static_cast<int>(all.size()) >= count;
  });
}

// Replaces NaN and Infinity, which Python's parser accepts, by 0 outside strings.
std::string with_plain_numbers(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    size_t length = 0;
    for (const std::string_view name : {"NaN", "-Infinity", "Infinity"}) {
      if (!quoted && length == 0 && text.substr(i).starts_with(name)) length = name.size();
    }
    if (length > 0) {
      out += '0';
      i += length;
      continue;
    }
    const bool escaped = quoted && text[i] == '\\' && i + 1 < text.size();
    if (text[i] == '"') quoted = !quoted;
    out += text[i++];
    if (escaped) out += text[i++];
  }
  return out;
}

}  // namespace

// Paragraphs are separated by ***.
Result<FollowsInstruction> make_paragraph_count(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int wanted, arguments.count("num_paragraphs"));
  LS_ASSIGN_OR_RETURN(const Regex divider,
                      python_regex("\\s?\\*\\*\\*\\s?", "", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto dividers, divider.find_all(response));
    int count = static_cast<int>(dividers.size()) + 1;
    size_t begin = 0;
    for (size_t i = 0; i <= dividers.size(); ++i) {
      const size_t end = i < dividers.size() ? dividers[i].begin : response.size();
      if (is_blank(std::string_view(response).substr(begin, end - begin))) {
        if (i > 0 && i < dividers.size()) return false;
        --count;
      }
      if (i < dividers.size()) begin = dividers[i].end;
    }
    return count == wanted;
  });
}

// Paragraphs are separated by blank lines.
Result<FollowsInstruction> make_first_word(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int paragraphs, arguments.count("num_paragraphs"));
  LS_ASSIGN_OR_RETURN(const int nth, arguments.count("nth_paragraph"));
  LS_ASSIGN_OR_RETURN(const std::string given, arguments.text("first_word"));
  if (nth > paragraphs)
    return invalid_argument(arguments.where() + ": 'nth_paragraph' is above 'num_paragraphs'");
  const std::u32string wanted = code_points(lowered(given));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    const auto parts = split(response, "\n\n");
    const auto count = std::count_if(parts.begin(), parts.end(),
                                     [](std::string_view part) { return !is_blank(part); });
    if (nth > count) return false;
    const std::string_view paragraph = strip(parts[static_cast<size_t>(nth) - 1]);
    if (paragraph.empty()) return false;
    std::u32string word = code_points(paragraph);
    word.resize(std::find_if(word.begin(), word.end(), is_unicode_space) - word.begin());
    word.erase(0, std::min(word.find_first_not_of(U'\''), word.size()));
    word.erase(0, std::min(word.find_first_not_of(U'"'), word.size()));
    word.resize(std::min(word.find_first_of(U".,?!'\""), word.size()));
    return count == paragraphs && lowered(std::u32string_view(word)) == wanted;
  });
}

Result<FollowsInstruction> make_placeholders(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int count, arguments.count("num_placeholders"));
  return at_least("\\[.*?\\]", count, arguments.where());
}

Result<FollowsInstruction> make_postscript(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const std::string given, arguments.text("postscript_marker"));
  const std::string marker(strip(given));
  const std::string pattern = marker == "P.P.S"  ? "\\s*p\\.\\s?p\\.\\s?s.*$"
                              : marker == "P.S." ? "\\s*p\\.\\s?s\\..*$"
                                                 : "\\s*" + lowered(marker) + ".*$";
  LS_ASSIGN_OR_RETURN(const Regex regex, python_regex(pattern, "m", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto match, regex.search(lowered(response)));
    return match.has_value();
  });
}

Result<FollowsInstruction> make_bullets(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int count, arguments.count("num_bullets"));
  LS_ASSIGN_OR_RETURN(const Regex stars, python_regex("^\\s*\\*[^\\*].*$", "m", arguments.where()));
  LS_ASSIGN_OR_RETURN(const Regex dashes, python_regex("^\\s*-.*$", "m", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto first, stars.find_all(response));
    LS_ASSIGN_OR_RETURN(const auto second, dashes.find_all(response));
    return static_cast<int>(first.size() + second.size()) == count;
  });
}

Result<FollowsInstruction> make_options(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    for (const char* option : {"My answer is yes.", "My answer is no.", "My answer is maybe."}) {
      if (response.find(option) != std::string::npos) return true;
    }
    return false;
  });
}

// Both *this* and **this** count; the latter once for each of its marks.
Result<FollowsInstruction> make_highlights(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const int wanted, arguments.count("num_highlights"));
  LS_ASSIGN_OR_RETURN(const Regex single, python_regex("\\*[^\\n\\*]*\\*", "", arguments.where()));
  LS_ASSIGN_OR_RETURN(const Regex pairs,
                      python_regex("\\*\\*[^\\n\\*]*\\*\\*", "", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    int count = 0;
    for (const Regex* regex : {&single, &pairs}) {
      LS_ASSIGN_OR_RETURN(const auto matches, regex->find_all(response));
      for (const auto& match : matches) count += is_blank(strip_of(match.group, "*", "*")) ? 0 : 1;
    }
    return count >= wanted;
  });
}

Result<FollowsInstruction> make_sections(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const std::string mark, arguments.text("section_spliter"));
  LS_ASSIGN_OR_RETURN(const int count, arguments.count("num_sections"));
  return at_least("\\s?" + std::string(strip(mark)) + "\\s?\\d+\\s?", count, arguments.where());
}

Result<FollowsInstruction> make_json(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    std::string_view text = strip(response);
    for (const char* mark : {"```json", "```Json", "```JSON", "```"}) {
      if (text.starts_with(mark)) text.remove_prefix(std::string_view(mark).size());
    }
    if (text.ends_with("```")) text.remove_suffix(3);
    text = strip(text);
    if (text.starts_with("\xEF\xBB\xBF")) return false;  // a byte order mark
    return parse_json(with_plain_numbers(text), "response").ok();
  });
}

Result<FollowsInstruction> make_title(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const Regex regex, python_regex("<<[^\\n]+>>", "", arguments.where()));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    LS_ASSIGN_OR_RETURN(const auto titles, regex.find_all(response));
    return std::any_of(titles.begin(), titles.end(), [](const Regex::Match& title) {
      return !is_blank(strip_of(title.group, "<", ">"));
    });
  });
}

Result<FollowsInstruction> make_two_responses(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    const auto parts = split(response, "******");
    std::vector<std::string_view> answers;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!is_blank(parts[i])) {
        answers.push_back(strip(parts[i]));
      } else if (i > 0 && i + 1 < parts.size()) {
        return false;
      }
    }
    return answers.size() == 2 && answers[0] != answers[1];
  });
}

Result<FollowsInstruction> make_repeated_prompt(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const std::string given, arguments.text("prompt_to_repeat"));
  const std::string prompt = lowered(strip(given));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    return lowered(strip(response)).starts_with(prompt);
  });
}

Result<FollowsInstruction> make_end(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const std::string given, arguments.text("end_phrase"));
  const std::string end = lowered(strip(given));
  return FollowsInstruction([=](const std::string& response) -> Result<bool> {
    return lowered(strip_of(strip(response), "\"", "\"")).ends_with(end);
  });
}

Result<FollowsInstruction> make_quotation(const Arguments&) {
  return FollowsInstruction([](const std::string& response) -> Result<bool> {
    const std::string_view text = strip(response);
    return text.size() > 1 && text.front() == '"' && text.back() == '"';
  });
}

}  // namespace longshot::reward
