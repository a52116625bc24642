#include "reward/rules/ifeval/language.h"

#include <utf8proc.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "reward/rules/ifeval/characters.h"
#include "reward/rules/ifeval/text_data.h"

namespace longshot::reward {
namespace {

constexpr int kTrials = 7;
constexpr double kAlpha = 0.5, kAlphaWidth = 0.05, kBaseFrequency = 10000;
constexpr double kConverged = 0.99999, kLikely = 0.1;
constexpr int kMaxDraws = 1000;
constexpr size_t kMaxCharacters = 10000;

struct Frequency {
  int language;
  double value;  // share of this n-gram among those of its length
};

// The characters of an n-gram in one number.
uint64_t key_of(std::u32string_view gram) {
  uint64_t key = 0;
  for (const char32_t c : gram) key = key << 21 | c;
  return key;
}

struct Profiles {
  std::vector<std::string> languages;
  std::unordered_map<uint64_t, std::vector<Frequency>> grams;
  std::unordered_map<char32_t, char32_t> kanji;  // character -> representative of its class
};

Profiles load_profiles() {
  Profiles out;
  for (const auto& [name, profile] : text_data()["profiles"].items()) {
    const int language = static_cast<int>(out.languages.size());
    out.languages.push_back(name);
    for (const auto& [gram, count] : profile["grams"].items()) {
      const std::u32string characters = code_points(gram);
      const double total = profile["totals"][characters.size() - 1].get<double>();
      out.grams[key_of(characters)].push_back({language, count.get<double>() / total});
    }
  }
  for (const Json& same : text_data()["kanji"]) {
    const std::u32string characters = code_points(same.get<std::string>());
    for (const char32_t c : characters) out.kanji[c] = characters.front();
  }
  return out;
}

const Profiles& profiles() {
  static const Profiles loaded = load_profiles();
  return loaded;
}

bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

// Blanks what carries no language, and maps characters that differ only within a script to one.
char32_t normalized(char32_t c) {
  if (c < 0x80) return between(c, 'A', 'Z') || between(c, 'a', 'z') ? c : U' ';
  if (c == 0xA0 || c == 0xAB || c == 0xB0 || c == 0xBB) return U' ';
  if (c == 0x219) return 0x15F;  // Romanian s and t with a comma below are written with a cedilla
  if (c == 0x21B) return 0x163;
  if (between(c, 0x2000, 0x206F)) return U' ';
  if (c == 0x6CC) return 0x64A;  // Farsi yeh
  if (between(c, 0x1EA0, 0x1EFF)) return 0x1EC3;
  if (between(c, 0x3040, 0x309F)) return 0x3042;
  if (between(c, 0x30A0, 0x30FF)) return 0x30A2;
  if (between(c, 0x3100, 0x312F) || between(c, 0x31A0, 0x31BF)) return 0x3105;
  if (between(c, 0xAC00, 0xD7AF)) return 0xAC00;
  if (between(c, 0x4E00, 0x9FFF)) {
    const auto found = profiles().kanji.find(c);
    return found == profiles().kanji.end() ? c : found->second;
  }
  return c;
}

bool is_one_of(char32_t c, std::string_view characters) {
  return c < 0x80 && characters.find(static_cast<char>(c)) != std::string_view::npos;
}

bool is_alphanumeric(char32_t c) {
  return between(c, '0', '9') || between(c, 'A', 'Z') || between(c, 'a', 'z');
}

size_t run_length(std::u32string_view text, size_t at, std::string_view more, size_t most) {
  size_t n = 0;
  while (n < most && at + n < text.size() &&
         (is_alphanumeric(text[at + n]) || is_one_of(text[at + n], more)))
    ++n;
  return n;
}

// The length of the URL at `at`; 0 if there is none.
size_t url_length(std::u32string_view text, size_t at) {
  const std::u32string_view rest = text.substr(at);
  const size_t scheme = rest.starts_with(U"https://") ? 8 : rest.starts_with(U"http://") ? 7 : 0;
  const size_t length = scheme == 0 ? 0 : run_length(text, at + scheme, "-_.?&~;+=/#", 2076);
  return length == 0 ? 0 : scheme + length;
}

// The length of the e-mail address at `at`; 0 if there is none.
size_t address_length(std::u32string_view text, size_t at) {
  const size_t name = run_length(text, at, "-_.", 64);
  if (name == 0 || at + name >= text.size() || text[at + name] != U'@') return 0;
  const size_t host = at + name + 1;
  size_t domain = run_length(text, host, "-_", 255);
  const size_t rest = run_length(text, host + domain, "-_.", 255);
  if (rest == 0 && domain > 0) --domain;  // the last part needs a character
  if (domain == 0) return 0;
  return name + 1 + domain + std::max<size_t>(rest, 1);
}

std::u32string without(std::u32string_view text, size_t (*length)(std::u32string_view, size_t)) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const size_t n = length(text, i);
    out.push_back(n > 0 ? U' ' : text[i]);
    i += std::max<size_t>(n, 1);
  }
  return out;
}

// Joins a letter of Vietnamese and the tone mark after it.
std::u32string with_joined_tones(std::u32string_view text) {
  constexpr std::u32string_view kLetters = U"AEIOUYaeiouyÂÊÔâêôĂăƠơƯư";
  constexpr std::u32string_view kMarks = U"\u0300\u0301\u0303\u0309\u0323";
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (i + 1 == text.size() || kLetters.find(text[i]) == kLetters.npos ||
        kMarks.find(text[i + 1]) == kMarks.npos)
      continue;
    utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(text[i]),
                                static_cast<utf8proc_int32_t>(text[i + 1])};
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE) != 1) continue;
    out.back() = static_cast<char32_t>(pair[0]);
    ++i;
  }
  return out;
}

// The text whose n-grams count: cut, without URLs and addresses, with single blanks, and without
// Latin letters if most letters belong to another script.
std::u32string cleaned(std::string_view given) {
  const std::u32string text =
      with_joined_tones(without(without(code_points(given), url_length), address_length));
  std::u32string out;
  size_t latin = 0, other = 0;
  for (size_t i = 0; i < std::min(text.size(), kMaxCharacters); ++i) {
    const char32_t c = text[i];
    if (c == U' ' && i > 0 && text[i - 1] == U' ') continue;
    out.push_back(c);
    if (between(c, 'A', 'z')) ++latin;
    if (c >= 0x300 && !between(c, 0x1E00, 0x1EFF)) ++other;
  }
  if (latin * 2 < other) std::erase_if(out, [](char32_t c) { return between(c, 'A', 'z'); });
  return out;
}

// The frequencies of each known n-gram of the text, in order. Words in capitals give only those of
// their first letter.
std::vector<const std::vector<Frequency>*> grams_of(const std::u32string& text) {
  std::vector<const std::vector<Frequency>*> found;
  std::u32string last = U" ";
  bool capitals = false;
  for (const char32_t given : text) {
    const char32_t c = normalized(given), before = last.back();
    if (before == U' ') {
      last = U" ";
      capitals = false;
    }
    if (before != U' ' || c != U' ') {
      if (before != U' ' && last.size() >= 3) last.erase(0, 1);
      last.push_back(c);
      if (!is_upper(c)) capitals = false;
      if (is_upper(c) && is_upper(before)) capitals = true;
    }
    if (capitals) continue;
    for (size_t n = 1; n <= std::min<size_t>(3, last.size()); ++n) {
      const auto gram = std::u32string_view(last).substr(last.size() - n);
      if (gram == U" ") continue;
      const auto known = profiles().grams.find(key_of(gram));
      if (known != profiles().grams.end()) found.push_back(&known->second);
    }
  }
  return found;
}

void multiply(std::vector<double>& likelihood, const std::vector<Frequency>& gram, double weight) {
  std::vector<double> factors(likelihood.size(), weight);
  for (const Frequency& f : gram) factors[static_cast<size_t>(f.language)] += f.value;
  for (size_t i = 0; i < likelihood.size(); ++i) likelihood[i] *= factors[i];
}

// Returns the largest.
double normalize(std::vector<double>& likelihood) {
  double sum = 0;
  for (const double p : likelihood) sum += p;
  for (double& p : likelihood) p /= sum;
  return *std::max_element(likelihood.begin(), likelihood.end());
}

}  // namespace

std::optional<std::string> language_of(std::string_view text) {
  const auto grams = grams_of(cleaned(text));
  if (grams.empty()) return std::nullopt;
  const size_t count = profiles().languages.size();
  std::vector<double> mean(count, 0.0);
  CounterRng random(hash64("language"));
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> likelihood(count, 1.0 / static_cast<double>(count));
    const double alpha = kAlpha + random.next_normal() * kAlphaWidth;
    for (int i = 0;; ++i) {
      multiply(likelihood, *grams[random.next_below(grams.size())], alpha / kBaseFrequency);
      if (i % 5 == 0 && (normalize(likelihood) > kConverged || i >= kMaxDraws)) break;
    }
    for (size_t l = 0; l < count; ++l) mean[l] += likelihood[l] / kTrials;
  }
  const auto best = std::max_element(mean.begin(), mean.end());
  if (*best <= kLikely) return "unknown";
  return profiles().languages[static_cast<size_t>(best - mean.begin())];
}

}  // namespace longshot::reward
