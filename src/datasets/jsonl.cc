#include "datasets/jsonl.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace longshot::datasets {
namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

Result<Row> parse_row(std::string_view line, std::string where) {
  LS_ASSIGN_OR_RETURN(Json json, parse_json(line, where, {.max_depth = kMaxInputJsonDepth}));
  if (!json.is_object()) {
    return invalid_argument(where + ": a row must be a JSON object, this is " +
                            std::string(json.type_name()) +
                            " (one object a line, no enclosing list)");
  }
  const bool ordered = line.find("\"tool") != std::string_view::npos;
  return Row{std::move(json), std::move(where), ordered ? std::string(line) : ""};
}

class JsonlReader final : public ShardReader {
 public:
  JsonlReader(std::string path, TextSource text, std::optional<int64_t> size)
      : path_(std::move(path)), text_(std::move(text)), size_(size) {}

  Result<std::optional<Row>> next(int64_t end) override {
    while (place_.offset < end) {
      const Place begin = place_;
      const bool taken = take_line();
      // Damage cuts a line, so this error comes before those of the line.
      LS_RETURN_IF_ERROR(text_.status().with_context(where(begin)));
      if (!taken) break;
      std::string_view line = line_;
      if (begin.offset == 0 && line.starts_with(kUtf8Mark)) line.remove_prefix(kUtf8Mark.size());
      if (blank(line)) continue;
      LS_ASSIGN_OR_RETURN(Row row, parse_row(line, where(begin)));
      return std::optional<Row>(std::move(row));
    }
    return std::optional<Row>();
  }

  Place place() const override { return place_; }

  // The line that contains the byte before the offset is skipped to its end: if that byte is a line
  // feed, nothing else is skipped.
  Status seek(const Place& place) override {
    std::istream& in = text_.stream();
    in.clear();
    const int64_t before = std::max<int64_t>(place.offset - 1, 0);
    in.seekg(before);
    LS_RETURN_IF_ERROR(text_.status().with_context(path_));
    if (!in.good()) return io_error(fmt::format("{}: cannot seek to byte {}", path_, before));
    place_ = {before, place.line};
    if (place.offset > 0) take_line();
    place_.line = place.line;
    return ok_status();
  }

  std::vector<int64_t> borders(int64_t piece_bytes) const override {
    if (!size_) return {0, kToTheEnd};
    std::vector<int64_t> borders = {0};
    while (borders.back() < *size_)
      borders.push_back(std::min(*size_, borders.back() + piece_bytes));
    return borders;
  }

 private:
  bool take_line() {
    std::istream& in = text_.stream();
    if (!std::getline(in, line_)) return false;
    place_.offset += static_cast<int64_t>(line_.size()) + (in.eof() ? 0 : 1);
    if (place_.line > 0) ++place_.line;
    return true;
  }

  std::string where(const Place& place) const {
    return place.line > 0 ? fmt::format("{}:{}", path_, place.line)
                          : fmt::format("{}, byte {}", path_, place.offset);
  }

  std::string path_;
  TextSource text_;
  std::optional<int64_t> size_;
  Place place_;
  std::string line_;
};

}  // namespace

std::unique_ptr<ShardReader> read_jsonl(const std::string& path, TextSource text,
                                        std::optional<int64_t> size) {
  return std::make_unique<JsonlReader>(path, std::move(text), size);
}

}  // namespace longshot::datasets
