#include "report/live.h"

#include <fmt/format.h>

#include "base/os/clock.h"
#include "base/os/fs.h"
#include "base/os/stop.h"
#include "net/errors.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

constexpr double kLookEvery = 0.3, kSignEvery = 10;  // seconds

net::Reply page(const std::vector<fs::path>& folders, ReportOptions options) {
  options.version = version_of(folders);
  auto text = make_report(folders, options);
  if (!text.ok()) return net::error_reply(net::error_of(text.status()));
  net::Reply reply;
  reply.content_type = "text/html; charset=utf-8";
  reply.body = std::move(*text);
  reply.headers = {{"Cache-Control", "no-store"}};
  return reply;
}

// One event, and until then a comment now and then, by which a reader that has gone is noticed.
net::Reply events(const std::vector<fs::path>& folders, const std::string& shown) {
  net::Reply reply;
  reply.content_type = "text/event-stream";
  reply.headers = {{"Cache-Control", "no-store"}};
  reply.stream = [folders, shown, ended = false, begun = false](std::string& piece) mutable {
    if (ended) return false;
    piece = ":\n\n";
    const Deadline sign = Deadline::after_seconds(begun ? kSignEvery : 0);
    begun = true;
    while (!sign.expired()) {
      if (const std::string now = version_of(folders); now != shown) {
        piece = "data: " + now + "\n\n";
        ended = true;
        break;
      }
      if (!sleep_unless_stopped(Deadline::after_seconds(kLookEvery))) return false;
    }
    return true;
  };
  return reply;
}

}  // namespace

std::string version_of(const std::vector<fs::path>& folders) {
  std::string state;
  for (const fs::path& folder : folders) {
    for (const char* name : {"metrics.jsonl", "warnings.jsonl", "events.jsonl", "config.toml",
                             "summary.json", "samples"}) {
      std::error_code error;
      const auto size = fs::is_regular_file(folder / name, error)
                            ? fs::file_size(folder / name, error)
                            : uintmax_t{0};
      const auto written = fs::last_write_time(folder / name, error);
      if (!error) state += fmt::format("{}:{};", size, written.time_since_epoch().count());
    }
    state += "|";
  }
  return fmt::format("{:016x}", checksum(state));
}

std::vector<net::Route> live_routes(const std::vector<fs::path>& folders,
                                    const ReportOptions& options) {
  const auto at_root = [=](const net::Call& call) {
    if (call.path == "/") return page(folders, options);
    return net::error_reply({.status = 404, .message = "only / and /events are here"});
  };
  const auto at_events = [=](const net::Call& call) {
    const auto version = call.query.find("version");
    return events(folders, version == call.query.end() ? "" : version->second);
  };
  return {{"GET", "/events", at_events, true}, {"GET", "/", at_root, true}};
}

}  // namespace longshot::report
