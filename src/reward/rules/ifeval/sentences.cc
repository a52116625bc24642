#include "reward/rules/ifeval/sentences.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "reward/rules/ifeval/characters.h"
#include "reward/rules/ifeval/sentence_words.h"
#include "reward/rules/ifeval/text_data.h"

namespace longshot::reward {
namespace {

// How a word occurred in the corpus that the model was trained on.
enum Occurrence : int {
  kBeginUpper = 1 << 1,
  kMiddleUpper = 1 << 2,
  kUnknownUpper = 1 << 3,
  kBeginLower = 1 << 4,
  kMiddleLower = 1 << 5,
  kUnknownLower = 1 << 6,
};
constexpr int kUpper = kBeginUpper | kMiddleUpper | kUnknownUpper;
constexpr int kLower = kBeginLower | kMiddleLower | kUnknownLower;

struct Model {
  std::unordered_set<std::string> abbreviations, starters;
  std::set<std::pair<std::string, std::string>> collocations;
  std::unordered_map<std::string, int> context;  // word -> Occurrences

  int occurrences(const std::string& word) const {
    const auto found = context.find(word);
    return found == context.end() ? 0 : found->second;
  }
};

Model load_model() {
  const Json& data = text_data()["sentences"];
  Model out;
  for (const Json& word : data["abbreviations"]) out.abbreviations.insert(word.get<std::string>());
  for (const Json& word : data["starters"]) out.starters.insert(word.get<std::string>());
  for (const Json& pair : data["collocations"])
    out.collocations.emplace(pair[0].get<std::string>(), pair[1].get<std::string>());
  for (const auto& [word, flags] : data["context"].items()) out.context[word] = flags.get<int>();
  return out;
}

const Model& model() {
  static const Model loaded = load_model();
  return loaded;
}

struct Word {
  std::u32string text;
  std::string type;  // in lower case; numbers are one type
  bool ends_sentence = false, abbreviation = false, ellipsis = false;

  bool has_period() const { return text.ends_with(U'.'); }
  bool starts_upper() const { return is_upper(text.front()); }
  std::string type_without_period() const {
    return type.size() > 1 && type.ends_with('.') ? type.substr(0, type.size() - 1) : type;
  }
  std::string type_in_context() const { return ends_sentence ? type_without_period() : type; }
  // A letter and a period.
  bool is_initial() const {
    return text.size() == 2 && text[1] == U'.' && is_unicode_word(text[0]) &&
           !is_unicode_digit(text[0]);
  }
};

bool is_ellipsis(std::u32string_view text) {
  return text.size() >= 2 && text.find_first_not_of(U'.') == text.npos;
}

Word word_of(std::u32string_view text) {
  Word word{std::u32string(text), {}};
  word.type = is_number_word(text) ? "##number##" : utf8(lowered(text));
  word.ellipsis = is_ellipsis(text);
  const bool single_end = text == U"." || text == U"?" || text == U"!";
  word.ends_sentence = single_end;
  if (single_end || word.ellipsis || !word.has_period() || text.ends_with(U"..")) return word;
  const std::string stem = utf8(lowered(text.substr(0, text.size() - 1)));
  const std::string last_part = stem.substr(stem.rfind('-') + 1);
  word.abbreviation =
      model().abbreviations.contains(stem) || model().abbreviations.contains(last_part);
  word.ends_sentence = !word.abbreviation;
  return word;
}

// Whether the word starts a sentence, judged by the cases in which it occurred; nothing if that is
// not known.
std::optional<bool> starts_sentence(const Word& word) {
  constexpr std::u32string_view kPunctuation = U";:,.!?";
  if (word.text.size() == 1 && kPunctuation.find(word.text[0]) != kPunctuation.npos) return false;
  const int seen = model().occurrences(word.type_in_context());
  if (word.starts_upper() && (seen & kLower) != 0 && (seen & kMiddleUpper) == 0) return true;
  if (is_lower(word.text.front()) && ((seen & kUpper) != 0 || (seen & kBeginLower) == 0))
    return false;
  return std::nullopt;
}

void make_abbreviation(Word& word) {
  word.ends_sentence = false;
  word.abbreviation = true;
}

// Revises the first decision on a word with a period, knowing the next one (sections 4.1 to 4.3 of
// the article).
void revise(Word& word, const Word& next) {
  if (!word.has_period()) return;
  const std::string type = word.type_without_period(), next_type = next.type_in_context();
  if (model().collocations.contains({type, next_type})) return make_abbreviation(word);
  const bool initial = word.is_initial();
  const auto starts = starts_sentence(next);
  if ((word.abbreviation || word.ellipsis) && !initial) {
    const bool frequent = next.starts_upper() && model().starters.contains(next_type);
    if (starts.value_or(false) || frequent) {
      word.ends_sentence = true;
      return;
    }
  }
  if (!initial && type != "##number##") return;
  const bool name =
      !starts && initial && next.starts_upper() && (model().occurrences(next_type) & kLower) == 0;
  if (starts == false || name) make_abbreviation(word);
}

// Whether a sentence ends before the last word of `text`.
bool contains_end(std::u32string_view text) {
  std::vector<Word> words;
  for (const std::u32string& word : punkt_words(text)) words.push_back(word_of(word));
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    revise(words[i], words[i + 1]);
    if (words[i].ends_sentence) return true;
  }
  return false;
}

// A character that may end a sentence, with the word around it and what follows.
struct Candidate {
  size_t word = 0;       // where its word begins
  size_t at = 0;         // the character
  size_t context = 0;    // the end of the punctuation or of the word after it
  size_t next_word = 0;  // where the next sentence would begin
};

std::optional<Candidate> candidate_at(std::u32string_view text, size_t at) {
  if (text[at] != U'.' && text[at] != U'?' && text[at] != U'!') return std::nullopt;
  size_t next = at + 1;
  if (next < text.size() && ends_punkt_word(text[next])) return Candidate{0, at, next + 1, next};
  while (next < text.size() && is_unicode_space(text[next])) ++next;
  if (next == at + 1 || next == text.size()) return std::nullopt;
  size_t end = next;
  while (end < text.size() && !is_unicode_space(text[end])) ++end;
  return Candidate{0, at, end, next};
}

// Where the word that ends at `at` begins. A word does not reach before `from`, where the previous
// candidate was, except that without white space between them both are in one word, which begins
// at `previous`.
size_t word_begin(std::u32string_view text, size_t previous, size_t from, size_t at) {
  for (size_t i = at; i-- > from + 1;) {
    if (text[i] < 0x80 && is_unicode_space(text[i]) && (text[i] < 28 || text[i] == U' '))
      return i + 1;
  }
  return previous;
}

std::vector<Candidate> candidates_of(std::u32string_view text) {
  std::vector<Candidate> all;
  size_t previous = 0, from = 0;
  std::optional<Candidate> pending;
  for (size_t at = 0; at < text.size(); ++at) {
    auto candidate = candidate_at(text, at);
    if (!candidate) continue;
    candidate->word = word_begin(text, previous, from, at);
    if (pending && pending->at <= candidate->word) all.push_back(*pending);
    previous = candidate->word;
    from = at;
    pending = candidate;
  }
  if (pending) all.push_back(*pending);
  return all;
}

struct Span {
  size_t begin = 0, end = 0;
};

std::vector<Span> raw_spans(std::u32string_view text) {
  std::vector<Span> spans;
  size_t begin = 0;
  for (const Candidate& c : candidates_of(text)) {
    if (!contains_end(text.substr(c.word, c.context - c.word))) continue;
    spans.push_back({begin, c.at + 1});
    begin = c.next_word;
  }
  size_t end = text.size();
  while (end > 0 && is_unicode_space(text[end - 1])) --end;
  spans.push_back({begin, std::max(begin, end)});
  return spans;
}

// Closing quotes and brackets at the start of a sentence belong to the one before. `kept` is where
// they end, `length` includes the white space after them; both are 0 if there are none.
struct Closing {
  size_t kept = 0, length = 0;
};

Closing closing_at(std::u32string_view text) {
  constexpr std::u32string_view kClosing = U"\"')]}\u2018\u2019\u201c\u201d\u00ab\u00bb";
  for (size_t n = 1; n <= text.size() && kClosing.find(text[n - 1]) != kClosing.npos; ++n) {
    size_t end = n;
    while (end < text.size() && is_unicode_space(text[end])) ++end;
    if (end > n || end == text.size() || text.substr(n).starts_with(U"--")) return {n, end};
  }
  return {};
}

std::vector<Span> spans_of(std::u32string_view text) {
  const std::vector<Span> raw = raw_spans(text);
  std::vector<Span> spans;
  size_t moved = 0;
  for (size_t i = 0; i < raw.size(); ++i) {
    Span span{raw[i].begin + moved, raw[i].end};
    moved = 0;
    if (i + 1 < raw.size()) {
      const Span next = raw[i + 1];
      const Closing closing = closing_at(text.substr(next.begin, next.end - next.begin));
      moved = closing.length;
      if (closing.length > 0) span.end = next.begin + closing.kept;
      if (closing.length > 0 || span.end > span.begin) spans.push_back(span);
    } else if (span.end > span.begin) {
      spans.push_back(span);
    }
  }
  return spans;
}

}  // namespace

std::vector<std::string> sentences_of(std::string_view text) {
  const std::u32string all = code_points(text);
  std::vector<std::string> out;
  for (const Span& span : spans_of(all)) {
    out.push_back(utf8(std::u32string_view(all).substr(span.begin, span.end - span.begin)));
  }
  return out;
}

Result<std::vector<std::string>> words_of_sentences(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& sentence : sentences_of(text)) {
    LS_ASSIGN_OR_RETURN(const auto more, treebank_words(sentence));
    words.insert(words.end(), more.begin(), more.end());
  }
  return words;
}

}  // namespace longshot::reward
