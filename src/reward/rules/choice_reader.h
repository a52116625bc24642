#pragma once
// Finds the letter of a multiple-choice answer in a text.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/status.h"

namespace longshot::reward {

using Options = std::map<char, std::string>;  // letter -> text

// The options of extra_info "choices" or "options": a list, an object by letter, or {"text": list}.
Options read_options(const Json& extra, const std::string& letters);

// Reads letters; thread-safe. `letters` is borrowed.
class ChoiceReader {
 public:
  ChoiceReader(const std::string& letters, Options options, Deadline deadline)
      : letters_(letters), options_(std::move(options)), deadline_(deadline) {}

  // Reads a text that gives one letter: "C", "(C)", "**C**", "C. Paris", "C - Paris", "option C",
  // "C is correct", "C because ...", "\text{C}", "c)", or the text of an option. nullopt for a text
  // that names more than one letter, for a letter with the text of another option, and for words
  // that begin with a letter ("A dog").
  Result<std::optional<char>> read(std::string_view text) const;

  // Returns the letter that the last sentence in favour of one supports: "this matches (C)", "so I
  // pick B", "B is correct". nullopt if it supports several, or if the text only rules letters out.
  std::optional<char> mention(std::string_view text) const;

  // True if the text contains "not", "wrong" or a similar word.
  static bool speaks_against(std::string_view text);
  // True if a text that follows a letter retracts it or lists options: "Wait, ...", "C. Rome".
  bool retracts(std::string_view text) const;
  // True if the text has the form "B. Paris" or "(B) Paris", with any text after the letter.
  bool begins_with_letter(std::string_view text) const;

  // True if the text consists only of letters of options, single capital letters, and what joins
  // them: "BC", "B, C", "K".
  bool only_letters(std::string_view text) const;
  // True if "or" or "either" joins a letter other than `letter`: "or B", "B or".
  bool offers_another(std::string_view line, char letter) const;

 private:
  bool is_letter(char c) const { return letters_.find(c) != std::string::npos; }
  Result<std::optional<char>> leading_letter(std::string_view text) const;
  Result<bool> describes(char letter, std::string_view rest) const;
  Result<bool> is_option_text(std::string_view rest, const std::string& option) const;
  bool speaks_for(std::string_view text, size_t i) const;

  const std::string& letters_;
  Options options_;
  Deadline deadline_;
};

}  // namespace longshot::reward
