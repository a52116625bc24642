#include "base/json.h"

#include <cmath>
#include <cstdlib>
#include <deque>
#include <limits>
#include <unordered_map>

#include "base/os/fs.h"

namespace longshot {
namespace {

// Exact numbers keep their literals in binary values, a type that JSON texts cannot contain. This
// is their subtype.
constexpr uint8_t kExactNumber = 0x4e;

template <typename J>
bool is_exact(const J& value) {
  return value.is_binary() && value.get_binary().has_subtype() &&
         value.get_binary().subtype() == kExactNumber;
}

template <typename J>
J exact_number(const std::string& literal) {
  return J::binary(std::vector<uint8_t>(literal.begin(), literal.end()), kExactNumber);
}

template <typename J>
std::string literal_of(const J& value) {
  return {value.get_binary().begin(), value.get_binary().end()};
}

// Builds the value; nlohmann's own builder would turn large integers into doubles.
template <typename J>
class Builder : public nlohmann::json_sax<J> {
 public:
  Builder(const JsonRules& rules, std::deque<std::string> literals)
      : rules_(rules), literals_(std::move(literals)) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_unsigned(uint64_t value) override { return put(value); }
  bool number_float(double value, const std::string& literal) override {
    if (!literals_.empty() && literal == kStandIn) return put_literal();
    const bool whole = literal.find_first_of(".eE") == std::string::npos;
    return whole ? put(exact_number<J>(literal)) : put(value);
  }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(typename J::binary_t&) override { return fail("is binary"); }

  bool start_object(size_t) override { return open(J::object()); }
  bool start_array(size_t) override { return open(J::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    bool is_new = true;
    member_ = &member(*open_.back(), name, is_new);
    if (rules_.unique_keys && !is_new) return fail("has the key '" + name + "' twice");
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    position_ = position;
    beyond_double_ = error.id == 406;
    return false;
  }

  J take() { return std::move(root_); }
  bool beyond_double() const { return beyond_double_; }  // a number has no double
  size_t position() const { return position_; }  // 1-based offset of a syntax error; otherwise 0
  const std::string& problem() const { return problem_; }

  // Placeholder for a number beyond double's range while the rest is parsed.
  static constexpr const char* kStandIn = "8e88";

 private:
  J* place() {
    if (open_.empty()) return &root_;
    if (!open_.back()->is_array()) return member_;
    open_.back()->push_back(nullptr);
    return &open_.back()->back();
  }

  template <typename T>
  bool put(T&& value) {
    *place() = std::forward<T>(value);
    return true;
  }

  bool put_literal() {
    const std::string literal = std::move(literals_.front());
    literals_.pop_front();
    if (literal == kStandIn) return put(std::strtod(kStandIn, nullptr));
    return put(exact_number<J>(literal));
  }

  // Ordered objects search their members one by one for a key, which would take quadratic time in a
  // large object.
  J& member(J& object, const std::string& name, bool& is_new) {
    auto& members = object.template get_ref<typename J::object_t&>();
    if constexpr (std::is_same_v<J, Json>) {
      const auto [at, inserted] = members.emplace(name, nullptr);
      is_new = inserted;
      return at->second;
    } else {
      const auto [at, inserted] = places_.back().emplace(name, members.size());
      is_new = inserted;
      if (inserted) members.J::object_t::Container::emplace_back(name, nullptr);
      return (members.begin() + static_cast<std::ptrdiff_t>(at->second))->second;
    }
  }

  bool open(J container) {
    if (open_.size() >= static_cast<size_t>(rules_.max_depth))
      return fail("nests deeper than " + std::to_string(rules_.max_depth) + " levels");
    J* at = place();
    *at = std::move(container);
    open_.push_back(at);
    if constexpr (!std::is_same_v<J, Json>) places_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    if constexpr (!std::is_same_v<J, Json>) places_.pop_back();
    return true;
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  const JsonRules rules_;
  std::deque<std::string> literals_;
  J root_;
  std::vector<std::unordered_map<std::string, size_t>> places_;  // of members, if J is ordered
  std::vector<J*> open_;  // a container does not grow while one of its members is open
  J* member_ = nullptr;
  size_t position_ = 0;
  bool beyond_double_ = false;
  std::string problem_;
};

bool is_number_literal(const std::string& text) {
  size_t at = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - from;
  };
  const size_t first = at, whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
  if (at < text.size() && text[at] == '.' && (++at, digits() == 0)) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

// Replaces each number beyond double's range by the placeholder and appends its literal to
// `literals`. A number equal to the placeholder is replaced too, so that every placeholder in the
// result has its literal.
std::string with_stand_ins(std::string_view text, std::deque<std::string>& literals) {
  constexpr const char* kStandIn = Builder<Json>::kStandIn;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
      at = std::min(at + 1, text.size());
      out += text.substr(begin, at - begin);
      continue;
    }
    at = std::min(text.find_first_not_of("0123456789+-.eE", at), text.size());
    if (at == begin) {
      out += text[at++];
      continue;
    }
    const std::string token(text.substr(begin, at - begin));
    const bool replace = is_number_literal(token) &&
                         (token == kStandIn || !std::isfinite(std::strtod(token.c_str(), nullptr)));
    if (replace) literals.push_back(token);
    out += replace ? std::string(kStandIn) : token;
  }
  return out;
}

// True near NaN or Infinity, which Python's json writes although JSON does not have them.
bool is_python_only(std::string_view text, size_t position) {
  const std::string_view near = text.substr(position < 2 ? 0 : position - 2, 5);
  for (const char* word : {"NaN", "Inf"})
    if (near.find(word) != near.npos) return true;
  return false;
}

template <typename J>
Result<J> parse(std::string_view text, const std::string& where, const JsonRules& rules) {
  Builder<J> builder(rules, {});
  if (J::sax_parse(text, &builder)) return builder.take();
  if (builder.beyond_double()) {
    std::deque<std::string> literals;
    const std::string readable = with_stand_ins(text, literals);
    Builder<J> again(rules, std::move(literals));
    if (J::sax_parse(readable, &again)) return again.take();
    if (!again.problem().empty()) return invalid_argument(where + ": the JSON " + again.problem());
    return invalid_argument(where + ": not valid JSON");
  }
  if (!builder.problem().empty())
    return invalid_argument(where + ": the JSON " + builder.problem());
  const size_t position = builder.position();
  return invalid_argument(where + ": not valid JSON at byte " + std::to_string(position) +
                          (is_python_only(text, position)
                               ? "; NaN and Infinity are not JSON, write null or leave the key out"
                               : ""));
}

template <typename J>
bool has_exact(const J& value) {
  if (!value.is_structured()) return is_exact(value);
  for (const J& item : value)
    if (has_exact(item)) return true;
  return false;
}

template <typename J>
void write(const J& value, int indent, int level, std::string& out) {
  if (is_exact(value)) {
    out += literal_of(value);
    return;
  }
  if (!value.is_structured() || value.empty()) {
    out += value.dump(-1, ' ', false, J::error_handler_t::replace);
    return;
  }
  const auto line = [&](int depth) {
    if (indent >= 0) out += "\n" + std::string(static_cast<size_t>(indent * depth), ' ');
  };
  out += value.is_array() ? '[' : '{';
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (item != value.begin()) out += ',';
    line(level + 1);
    if (value.is_object()) {
      out += J(item.key()).dump(-1, ' ', false, J::error_handler_t::replace);
      out += indent >= 0 ? ": " : ":";
    }
    write(*item, indent, level + 1, out);
  }
  line(level);
  out += value.is_array() ? ']' : '}';
}

template <typename J>
std::string dump(const J& value, int indent) {
  if (!has_exact(value)) return value.dump(indent, ' ', false, J::error_handler_t::replace);
  std::string out;
  write(value, indent, 0, out);
  return out;
}

// The digits of an integral number, with its sign; nothing for other numbers and for exact numbers
// whose literal has a fraction or an exponent.
std::optional<std::string> whole_digits(const Json& value) {
  if (value.is_number_unsigned()) return std::to_string(value.get<uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  if (is_exact(value)) {
    const std::string literal = literal_of(value);
    if (literal.find_first_of(".eE") == std::string::npos) return literal;
    return std::nullopt;
  }
  const double number = value.get<double>();
  if (!std::isfinite(number) || number != std::floor(number)) return std::nullopt;
  std::array<char, 400> digits{};
  std::snprintf(digits.data(), digits.size(), "%.0f", number == 0 ? 0.0 : number);
  return std::string(digits.data());
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& where, const JsonRules& rules) {
  return parse<Json>(text, where, rules);
}

Result<OrderedJson> parse_ordered_json(std::string_view text, const std::string& where,
                                       const JsonRules& rules) {
  return parse<OrderedJson>(text, where, rules);
}

Result<Json> read_json_file(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json(text, path);
}

std::string dump_json(const Json& value, int indent) {
  return dump(value, indent);
}

std::string dump_json(const OrderedJson& value, int indent) {
  return dump(value, indent);
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (is_exact(value)) return std::strtod(literal_of(value).c_str(), nullptr);
  return std::nullopt;
}

bool same_number(const Json& a, const Json& b) {
  if (!number_of(a) || !number_of(b)) return false;
  const auto x = whole_digits(a), y = whole_digits(b);
  if (x && y) return *x == *y;
  return !x && !y && a == b;
}

std::string json_type(const Json& value) {
  return is_exact(value) ? "number beyond 64 bits" : value.type_name();
}

bool json_detail::integer_fits(const Json& value, int64_t least, uint64_t most) {
  if (value.is_number_unsigned()) return value.get<uint64_t>() <= most;
  if (value.is_number_integer()) {
    const int64_t number = value.get<int64_t>();
    return number >= least && (number < 0 || static_cast<uint64_t>(number) <= most);
  }
  if (!value.is_number()) return !is_exact(value);  // another type is reported as such
  const double number = value.get<double>();
  return number == std::floor(number) && number >= static_cast<double>(least) &&
         number < std::ldexp(1.0, std::numeric_limits<uint64_t>::digits) &&
         static_cast<uint64_t>(std::fabs(number)) <= most;
}

}  // namespace longshot
