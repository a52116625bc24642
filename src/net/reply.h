#pragma once
// A request and its answer as handlers see them, independent of the HTTP library.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/connection.h"

namespace longshot::net {

struct Call {
  std::string method, path, body;
  std::map<std::string, std::string> query;
  Connection connection;  // the client's; gone() says whether it has disconnected
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // If set, the body is sent in pieces. Waits for the next piece and stores it in `piece`; returns
  // false after the last one. Destroyed early if the client disconnects.
  std::function<bool(std::string& piece)> stream;
  std::string note;  // appended to the line of the access log
};

using Handler = std::function<Reply(const Call& call)>;

struct Route {
  std::string method;
  std::string path;  // a path that ends in "/" also matches everything below it
  Handler handler;
};

}  // namespace longshot::net
