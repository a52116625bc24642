#pragma once
// A request and its answer as handlers see them, independent of the HTTP library.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/connection.h"

namespace longshot::net {

struct Call {
  std::string method, path, body;
  std::map<std::string, std::string> query;
  std::string range;      // the Range header; empty if there is none
  Connection connection;  // the client's; gone() says whether it has disconnected
};

// A large body that is sent from where it is, without a copy in this process.
struct LentBytes {
  std::string_view bytes;
  // Keeps the bytes valid. Destroyed when the answer is sent or the client has disconnected.
  std::shared_ptr<const void> owner;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  LentBytes lent = {};  // replaces `body` if it has an owner
  std::vector<std::pair<std::string, std::string>> headers = {};  // further ones
  // If set, the body is sent in pieces. Waits for the next piece and stores it in `piece`; returns
  // false after the last one. Destroyed early if the client disconnects.
  std::function<bool(std::string& piece)> stream = nullptr;
  std::string note = {};  // appended to the line of the access log
};

using Handler = std::function<Reply(const Call& call)>;

struct Route {
  std::string method;
  std::string path;  // a path that ends in "/" also matches everything below it
  Handler handler;
  // The answer may be large: it gets a thread of its own, which may wait for the client.
  bool large = false;
};

}  // namespace longshot::net
