#include "tokenizer/split/normalizer.h"

#include <map>

#include "base/text/base64.h"

namespace longshot::tokenizer {
namespace {
constexpr int kMaxDepth = 16;

// The text without white space at the chosen sides.
std::string stripped(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const CodePoint first = code_point_at(text, 0);
    if (!is_white_space(first.value)) break;
    text.remove_prefix(static_cast<size_t>(first.length));
  }
  while (right && !text.empty()) {
    const CodePoint last = code_point_before(text, text.size());
    if (!is_white_space(last.value)) break;
    text.remove_suffix(static_cast<size_t>(last.length));
  }
  return std::string(text);
}

}  // namespace

Result<Normalizer> Normalizer::from_json(const Json& json, const std::string& where) {
  Normalizer normalizer;
  LS_RETURN_IF_ERROR(normalizer.add(json, where, 0));
  return normalizer;
}

Status Normalizer::add(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return {};
  if (depth > kMaxDepth) return invalid_argument(where + ": nested too deeply");
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type == "Sequence") {
    LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "normalizers", where));
    if (!list.is_array()) return invalid_argument(where + ": key 'normalizers' is not a list");
    for (const Json& item : list) LS_RETURN_IF_ERROR(add(item, where, depth + 1));
    return {};
  }
  LS_ASSIGN_OR_RETURN(Step step, read_step(type, json, where));
  steps_.push_back(std::move(step));
  return {};
}

Result<Normalizer::Step> Normalizer::read_step(const std::string& type, const Json& json,
                                               const std::string& where) {
  static const std::map<std::string, NormalForm> forms = {{"NFC", NormalForm::nfc},
                                                          {"NFD", NormalForm::nfd},
                                                          {"NFKC", NormalForm::nfkc},
                                                          {"NFKD", NormalForm::nfkd}};
  Step step;
  if (const auto form = forms.find(type); form != forms.end()) {
    step.form = form->second;
  } else if (type == "Prepend") {
    step.kind = Step::Kind::prepend;
    LS_ASSIGN_OR_RETURN(step.text, json_get<std::string>(json, "prepend", where));
  } else if (type == "Replace") {
    step.kind = Step::Kind::replace;
    LS_ASSIGN_OR_RETURN(step.pattern, Pattern::of_step(json, where + ": Replace"));
    LS_ASSIGN_OR_RETURN(step.text, json_get<std::string>(json, "content", where));
  } else if (type == "Strip") {
    step.kind = Step::Kind::strip;
    LS_ASSIGN_OR_RETURN(step.left, json_get<bool>(json, "strip_left", where));
    LS_ASSIGN_OR_RETURN(step.right, json_get<bool>(json, "strip_right", where));
  } else if (type == "Precompiled") {
    step.kind = Step::Kind::map;
    LS_ASSIGN_OR_RETURN(const std::string text,
                        json_get<std::string>(json, "precompiled_charsmap", where));
    const auto bytes = from_base64(text);
    if (!bytes) return invalid_argument(where + ": key 'precompiled_charsmap' is not base64");
    LS_ASSIGN_OR_RETURN(step.map, CharacterMap::parse(*bytes, where + ": Precompiled"));
  } else {
    return invalid_argument(where + ": type '" + type +
                            "' is not supported (NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, "
                            "Precompiled, Sequence are)");
  }
  return step;
}

std::string Normalizer::apply(const Step& step, const std::string& text) {
  if (step.kind == Step::Kind::form) return normalize(text, step.form);
  if (step.kind == Step::Kind::map) return step.map.apply(text);
  if (step.kind == Step::Kind::strip) return stripped(text, step.left, step.right);
  if (step.kind == Step::Kind::prepend) return text.empty() ? text : step.text + text;
  std::vector<PatternPart> parts;
  step.pattern.split(text, parts);
  std::string out;
  for (const PatternPart& part : parts)
    out += part.matched ? step.text : text.substr(part.begin, part.end - part.begin);
  return out;
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = apply(step, out);
  return out;
}

}  // namespace longshot::tokenizer
