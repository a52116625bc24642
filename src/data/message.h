#pragma once
// A message of a chat. Its content is a text or a list of parts, as in OpenAI's API.

#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::data {

enum class PartKind { text };

struct ContentPart {
  PartKind kind = PartKind::text;
  std::string text;
  bool operator==(const ContentPart&) const = default;
};

// A list with one text is not the same as the text: chat templates may render it in another way.
class Content {
 public:
  Content() = default;
  Content(std::string text) : form_(std::move(text)) {}                 // NOLINT: most are a text
  Content(const char* text) : form_(std::string(text)) {}               // NOLINT
  Content(std::vector<ContentPart> parts) : form_(std::move(parts)) {}  // NOLINT

  // All texts, joined without a separator: for readers to whom the form does not matter.
  std::string text() const;
  // Null if the content is a list.
  const std::string* plain() const { return std::get_if<std::string>(&form_); }
  // Adds to the text, of a list to the last part.
  void append(const std::string& text);
  OrderedJson to_json() const;  // a string, or a list of {"type", "text"}

  bool operator==(const Content&) const = default;

 private:
  std::variant<std::string, std::vector<ContentPart>> form_;
};

struct Message {
  std::string role;  // "system", "user", "assistant"
  Content content;
  bool operator==(const Message&) const = default;
};

// {"role", "content"}
OrderedJson to_json(const Message& message);
Result<Message> message_from_json(const Json& json, const std::string& where);

// Reads a string, null (an empty text) or a list of parts. The errors begin with `where` and name
// the part that is malformed or of a kind that is not supported. Members of a part that its kind
// does not have are ignored.
Result<Content> content_from_json(const Json& json, const std::string& where);

}  // namespace longshot::data
