#pragma once
// Reward functions outside this process. All speak the same JSON:
//   request  {"data_source": s, "prompt": s, "completion": s, "ground_truth": any,
//             "extra_info": any}
//   reply    {"score": number} with optional "correct": bool and "answer": string, or {"error": s}
// The ground truth is as in the row: an object or a list there is one here, and a string stays a
// string. Other members of a reply that are numbers or booleans become figures of the score.
// A response is correct if "correct" says so; as a number it must reach the option "threshold", and
// without it the score must. The threshold is 1, the full score, unless the option sets another.
// Every call has a deadline.

#include <memory>

#include "reward/reward.h"

namespace longshot::reward {

// {"path": file, "function": "compute_score", "interpreter": "", "startup_seconds": 120,
// "environment": {}, "reward_kwargs": {}} A Python file (or "pkg://package.module") with
// compute_score(data_source, solution_str, ground_truth, extra_info), or with a part of these
// parameters, that returns a number or a dict with "score" (and optionally "acc"/"correct",
// "answer"/"pred", further figures), as verl's custom reward functions do; it may be async.
// "reward_kwargs" are further arguments. A file inside a package may import relative to it. It runs
// in worker processes that stay alive, one per judging thread. Loading the file checks whether the
// function can be called so. The interpreter is the option, else $LONGSHOT_VENV/bin/python, else
// python3. What the code prints is logged and never disturbs the replies. A timeout kills
// the worker's whole process group and the next call starts a new one. Errors: timeout; unavailable
// when the worker died; invalid_argument with the message when the code raised.
Result<std::unique_ptr<Reward>> make_python(const Json& options);

// {"argv": [program, ...], "environment": {}}: any program that answers request lines on stdin with
// reply lines on stdout, in order. Kept alive and restarted like the Python worker.
Result<std::unique_ptr<Reward>> make_command(const Json& options);

// {"url": "http://host:port/path", "headers": {}}: POSTs the request. 5xx, 408, 429 and connection
// failures are unavailable (worth a retry), other statuses are final. TLS is not built in: put a
// local proxy before https services.
Result<std::unique_ptr<Reward>> make_http(const Json& options);

Json plugin_request(const Question& question);
// `who` names the plug-in in errors.
inline constexpr double kFullScore = 1.0;
Result<Score> plugin_score(const Json& reply, const std::string& who,
                           double threshold = kFullScore);
// The option "threshold".
Result<double> read_threshold(const Json& options, const std::string& where);

}  // namespace longshot::reward
