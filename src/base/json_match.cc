#include "base/json_match.h"

#include <set>
#include <string>
#include <vector>

namespace longshot {
namespace {

// Walks the expected value in step with the text. A handler that returns false stops the parser.
class Matcher : public nlohmann::json_sax<Json> {
 public:
  Matcher(const Json& expected, const SameScalar& same) : next_(&expected), same_(same) {}

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(int64_t value) override { return scalar(value); }
  bool number_unsigned(uint64_t value) override { return scalar(value); }
  bool number_float(double value, const std::string& literal) override {
    if (literal.find_first_of(".eE") != std::string::npos) return scalar(value);
    const auto exact = parse_json(literal, "");
    return exact.ok() && scalar(*exact);
  }
  bool string(std::string& value) override { return scalar(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }

  bool start_object(size_t) override { return open(Json::value_t::object); }
  bool start_array(size_t) override { return open(Json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    Level& level = levels_.back();
    const auto member = level.expected->find(name);
    if (member == level.expected->end() || !level.seen.insert(name).second) return false;
    next_ = &*member;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  struct Level {
    const Json* expected;
    size_t items = 0;            // of a list, read so far
    std::set<std::string> seen;  // keys of an object
  };

  // The expected value for the next value of the text; null if the list has no further item.
  const Json* take() {
    if (levels_.empty() || levels_.back().expected->is_object()) return next_;
    Level& level = levels_.back();
    return level.items < level.expected->size() ? &(*level.expected)[level.items++] : nullptr;
  }
  bool scalar(const Json& actual) {
    const Json* expected = take();
    return expected != nullptr && same_(actual, *expected);
  }
  bool open(Json::value_t type) {
    const Json* expected = take();
    if (expected == nullptr || expected->type() != type) return false;
    levels_.push_back({expected, 0, {}});
    return true;
  }
  bool close() {
    const Level& level = levels_.back();
    const size_t read = level.expected->is_object() ? level.seen.size() : level.items;
    const bool whole = read == level.expected->size();
    levels_.pop_back();
    return whole;
  }

  const Json* next_;  // of the whole text, or of the key just read
  const SameScalar& same_;
  std::vector<Level> levels_;
};

}  // namespace

bool json_text_matches(std::string_view text, const Json& expected, const SameScalar& same) {
  Matcher matcher(expected, same);
  return Json::sax_parse(text, &matcher);
}

}  // namespace longshot
