#pragma once
// Reward functions outside this process. All use the same JSON:
//   request  {"data_source": s, "prompt": s, "completion": s, "ground_truth": any,
//             "extra_info": any}
//   reply    {"score": number} with optional "correct": bool, "answer": string and
//            "step_values": [{"end": int, "value": number}, ...], or {"error": s}
// The ground truth has the type that it has in the row: object, list or string. Other members of a
// reply that are numbers or booleans become figures of the score.
// "correct" decides whether a response is correct. If "correct" is a number, it must reach the
// option "threshold"; if it is missing, the score must. The threshold is 1, the full score, unless
// the option sets another.
// "step_values" are values of the steps of the completion. A step ends before the character `end`
// (Unicode code points, as in Python). Ends ascend and are at most the completion's length.
// Anything else is an error, and so the response has no score.
// Every call has a deadline.

#include <memory>

#include "reward/reward.h"

namespace longshot::reward {

// {"path": file, "function": "compute_score", "interpreter": "", "startup_seconds": 120,
// "environment": {}, "reward_kwargs": {}}
// A Python file (or "pkg://package.module") with compute_score(data_source, solution_str,
// ground_truth, extra_info), or with some of these parameters. It returns a number or a dict with
// "score" (and optionally "acc"/"correct", "answer"/"pred", "step_values", further figures), as
// verl's custom reward functions do, and may be async. Functions of TRL (a parameter `completions`)
// and of verifiers (`completion`), and rubrics of verifiers and OpenEnv, are called as those do.
// "reward_kwargs" are further arguments. A file inside a package may import relative to it.
// The function runs in worker processes that stay alive, one per judging thread. Loading the file
// checks whether the function can be called with these arguments. The interpreter is the option,
// else $LONGSHOT_VENV/bin/python, else python3. Output of the code is logged and never disturbs the
// replies. A timeout kills the worker's whole process group, and the next call starts a new worker.
// Errors: timeout; unavailable if the worker died; invalid_argument with the message if the code
// raised an exception.
Result<std::unique_ptr<Reward>> make_python(const Json& options);

// {"argv": [program, ...], "environment": {}}: any program that answers request lines on stdin with
// reply lines on stdout, in order. It is kept alive and restarted like the Python worker.
Result<std::unique_ptr<Reward>> make_command(const Json& options);

// {"url": "http://host:port/path", "headers": {}}: POSTs the request. Statuses of a busy
// service (net/http_reply.h) and connection failures are unavailable (worth a retry); other
// statuses are final. TLS is not built in: put a local proxy before https services.
Result<std::unique_ptr<Reward>> make_http(const Json& options);

Json plugin_request(const Question& question);
inline constexpr double kFullScore = 1.0;
// Converts the reply about `completion` to a score. `who` names the plug-in in errors.
Result<Score> plugin_score(const Json& reply, const std::string& completion, const std::string& who,
                           double threshold = kFullScore);
// Reads the option "threshold".
Result<double> read_threshold(const Json& options, const std::string& where);

}  // namespace longshot::reward
