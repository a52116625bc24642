#include "server/server.h"

#include "server/adapter_routes.h"
#include "server/admin.h"
#include "server/generate.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"

namespace longshot::server {

std::vector<net::Route> all_routes(const Context& context) {
  std::vector<net::Route> routes = admin_routes(context);
  for (net::Route& route : adapter_routes(context)) routes.push_back(std::move(route));
  routes.push_back({"POST", "/v1/chat/completions",
                    [&](const net::Call& call) { return chat_completions(context, call); }});
  routes.push_back({"POST", "/v1/completions",
                    [&](const net::Call& call) { return completions(context, call); }});
  routes.push_back(
      {"POST", "/generate", [&](const net::Call& call) { return generate(context, call); }});
  return routes;
}

}  // namespace longshot::server
