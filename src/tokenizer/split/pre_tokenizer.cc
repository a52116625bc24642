#include "tokenizer/split/pre_tokenizer.h"

#include <algorithm>
#include <map>

namespace longshot::tokenizer {
namespace {

constexpr int kMaxDepth = 16;

// The expression that is built into the ByteLevel pre-tokenizer (GPT-2's).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Result<SplitBehavior> parse_behavior(const std::string& name, const std::string& where) {
  static const std::map<std::string, SplitBehavior> names = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous}};
  const auto found = names.find(name);
  if (found == names.end()) return invalid_argument(where + ": behavior '" + name + "' is unknown");
  return found->second;
}

// Joins each match to the unmatched part before it.
void merge_matches(std::vector<PatternPart>& parts) {
  std::vector<PatternPart> out;
  bool previous_matched = false;
  for (const PatternPart& part : parts) {
    if (part.matched && !previous_matched && !out.empty()) {
      out.back().begin = std::min(out.back().begin, part.begin);
      out.back().end = std::max(out.back().end, part.end);
    } else {
      out.push_back(part);
    }
    previous_matched = part.matched;
  }
  parts = std::move(out);
}

void merge_equal(std::vector<PatternPart>& parts) {
  size_t count = 0;
  for (const PatternPart& part : parts) {
    if (count > 0 && parts[count - 1].matched == part.matched) {
      parts[count - 1].end = part.end;
    } else {
      parts[count++] = part;
    }
  }
  parts.resize(count);
}

}  // namespace

void apply_behavior(SplitBehavior behavior, std::vector<PatternPart>& parts) {
  switch (behavior) {
    case SplitBehavior::isolated:
      return;
    case SplitBehavior::removed:
      std::erase_if(parts, [](const PatternPart& part) { return part.matched; });
      return;
    case SplitBehavior::merged_with_previous:
      merge_matches(parts);
      return;
    case SplitBehavior::merged_with_next:
      std::reverse(parts.begin(), parts.end());
      merge_matches(parts);
      std::reverse(parts.begin(), parts.end());
      return;
    case SplitBehavior::contiguous:
      merge_equal(parts);
      return;
  }
}

Result<PreTokenizer> PreTokenizer::from_json(const Json& json, const std::string& where) {
  PreTokenizer result;
  if (!json.is_null()) LS_RETURN_IF_ERROR(result.add(json, where, 0));
  return result;
}

Status PreTokenizer::add(const Json& json, const std::string& where, int depth) {
  if (depth > kMaxDepth) return invalid_argument(where + ": nested too deeply");
  if (byte_level_) return invalid_argument(where + ": a step after ByteLevel is not supported");
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type == "Split") return add_split(json, where + ": Split");
  if (type == "WhitespaceSplit") return add_whitespace_split(where + ": WhitespaceSplit");
  if (type == "Digits") return add_digits(json, where + ": Digits");
  if (type == "ByteLevel") return add_byte_level(json, where + ": ByteLevel");
  if (type == "Metaspace") return add_metaspace(json, where + ": Metaspace");
  if (type != "Sequence") {
    return invalid_argument(
        where + ": type '" + type +
        "' is not supported (Split, WhitespaceSplit, Digits, ByteLevel, Metaspace, Sequence are)");
  }
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "pretokenizers", where));
  if (!list.is_array()) return invalid_argument(where + ": key 'pretokenizers' is not a list");
  for (const Json& item : list) LS_RETURN_IF_ERROR(add(item, where, depth + 1));
  return {};
}

Status PreTokenizer::add_split(const Json& json, const std::string& where) {
  SplitStep step;
  step.splits = true;
  LS_ASSIGN_OR_RETURN(step.pattern, Pattern::of_step(json, where));
  LS_ASSIGN_OR_RETURN(const std::string behavior, json_get<std::string>(json, "behavior", where));
  LS_ASSIGN_OR_RETURN(step.behavior, parse_behavior(behavior, where));
  LS_ASSIGN_OR_RETURN(step.invert, json_get_or<bool>(json, "invert", false, where));
  steps_.push_back(std::move(step));
  return {};
}

Status PreTokenizer::add_whitespace_split(const std::string& where) {
  SplitStep step;
  step.splits = true;
  step.behavior = SplitBehavior::removed;
  auto spaces = Pattern::compile("\\s+");
  if (!spaces.ok()) return spaces.status().with_context(where);
  step.pattern = std::move(*spaces);
  steps_.push_back(std::move(step));
  return {};
}

Status PreTokenizer::add_digits(const Json& json, const std::string& where) {
  SplitStep step;
  step.splits = true;
  LS_ASSIGN_OR_RETURN(const bool individual,
                      json_get_or<bool>(json, "individual_digits", false, where));
  step.behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous;
  LS_ASSIGN_OR_RETURN(step.pattern, Pattern::compile("\\p{N}"));
  steps_.push_back(std::move(step));
  return {};
}

Status PreTokenizer::add_byte_level(const Json& json, const std::string& where) {
  SplitStep step;
  LS_ASSIGN_OR_RETURN(step.add_prefix_space,
                      json_get_or<bool>(json, "add_prefix_space", true, where));
  LS_ASSIGN_OR_RETURN(step.splits, json_get_or<bool>(json, "use_regex", true, where));
  if (step.splits) {
    LS_ASSIGN_OR_RETURN(step.pattern, Pattern::compile(kByteLevelPattern));
  }
  if (step.splits || step.add_prefix_space) steps_.push_back(std::move(step));
  byte_level_ = true;
  return {};
}

// Files from before the key `prepend_scheme` have `add_prefix_space`.
Status PreTokenizer::add_metaspace(const Json& json, const std::string& where) {
  static const std::map<std::string, Prepend> schemes = {
      {"always", Prepend::always}, {"first", Prepend::first}, {"never", Prepend::never}};
  SplitStep step;
  LS_ASSIGN_OR_RETURN(step.space, json_get<std::string>(json, "replacement", where));
  if (step.space.empty()) return invalid_argument(where + ": key 'replacement' is empty");
  LS_ASSIGN_OR_RETURN(const bool prefix, json_get_or<bool>(json, "add_prefix_space", true, where));
  LS_ASSIGN_OR_RETURN(
      const std::string scheme,
      json_get_or<std::string>(json, "prepend_scheme", prefix ? "always" : "never", where));
  const auto found = schemes.find(scheme);
  if (found == schemes.end())
    return invalid_argument(where + ": prepend_scheme '" + scheme +
                            "' is not supported (always, first, never are)");
  step.prepend = found->second;
  LS_ASSIGN_OR_RETURN(step.splits, json_get_or<bool>(json, "split", true, where));
  if (step.splits) {
    LS_ASSIGN_OR_RETURN(step.pattern, Pattern::literal(step.space));
    step.behavior = SplitBehavior::merged_with_next;
  }
  steps_.push_back(std::move(step));
  return {};
}

// Writes spaces as the step's character, and puts one before the text if the step says so.
std::string PreTokenizer::SplitStep::replace_spaces(std::string_view piece, bool at_start) const {
  std::string out;
  const bool prepends = prepend == Prepend::always || (prepend == Prepend::first && at_start);
  if (prepends && !piece.starts_with(' ') && !piece.starts_with(space)) out = space;
  for (const char c : piece) c == ' ' ? out += space : out += c;
  return out;
}

void PreTokenizer::split(std::string_view text, bool at_start,
                         std::vector<std::string_view>& pieces,
                         std::deque<std::string>& storage) const {
  pieces.clear();
  if (!text.empty()) pieces.push_back(text);
  std::vector<std::string_view> next;
  std::vector<PatternPart> parts;
  for (const SplitStep& step : steps_) {
    next.clear();
    for (std::string_view piece : pieces) {
      if (step.add_prefix_space && !piece.starts_with(' ')) {
        piece = storage.emplace_back(" " + std::string(piece));
      }
      if (!step.space.empty())
        piece = storage.emplace_back(step.replace_spaces(piece, at_start && next.empty()));
      if (!step.splits) {
        next.push_back(piece);
        continue;
      }
      step.pattern.split(piece, parts);
      if (step.invert) {
        for (PatternPart& part : parts) part.matched = !part.matched;
      }
      apply_behavior(step.behavior, parts);
      for (const PatternPart& part : parts) {
        if (part.end > part.begin) next.push_back(piece.substr(part.begin, part.end - part.begin));
      }
    }
    pieces.swap(next);
  }
}

}  // namespace longshot::tokenizer
