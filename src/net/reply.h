#pragma once
// A request and its answer without the HTTP library: what the handlers see.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "net/connection.h"

namespace longshot::net {

struct Call {
  std::string method, path, body;
  std::map<std::string, std::string> query;
  Connection connection;  // the client's; can be asked whether it is still there
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // If set the body comes in pieces: puts the next one into `piece`, waiting for it; false after the last. Destroyed
  // early if the client is gone.
  std::function<bool(std::string& piece)> stream;
  std::string note;  // for the access log
};

using Handler = std::function<Reply(const Call& call)>;

struct Route {
  std::string method;
  std::string path;  // one that ends in "/" also takes everything below it
  Handler handler;
};

}  // namespace longshot::net
