// longshot chat: a conversation in the terminal.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>

#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/model/inference.h"
#include "commands/model/model.h"
#include "datasets/encode.h"
#include "rollout/sampling/text_stream.h"

namespace longshot::commands {
namespace {

void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

class Chat {
 public:
  Chat(InferenceOptions options, model::ModelFiles& files, rollout::Engine& engine)
      : options_(std::move(options)), files_(files), engine_(engine) {
    reset();
  }

  void reset() {
    history_.clear();
    if (!options_.system.empty()) history_.push_back({"system", options_.system});
  }

  // Streams the answer and adds it to the history. After an error the message is removed from the
  // history.
  Status answer(const std::string& text) {
    history_.push_back({"user", text});
    const Status status = generate();
    if (!status.ok()) history_.pop_back();
    return status;
  }

 private:
  Status generate() {
    LS_ASSIGN_OR_RETURN(auto tokens, datasets::encode_chat(*files_.tokenizer, files_.chat_template,
                                                           history_, true, "message"));
    const int room = engine_.runner().limits().max_sequence - static_cast<int>(tokens.size());
    if (room < 1)
      return invalid_argument("the conversation fills the model's context; start anew with /clear");
    rollout::EngineOptions options;
    options.sampling = options_.sampling;
    options.speculation = options_.speculation;
    options.sampling.max_response_length = std::min(room, options_.sampling.max_response_length);
    data::Sample job;
    job.prompt_id = "turn " + std::to_string(++turn_);
    job.seed = options_.seed;
    job.prompt_tokens = std::move(tokens);
    rollout::TextStream stream(*files_.tokenizer, options.sampling.stop_strings);
    clear_stop_request();
    auto samples = engine_.generate({std::move(job)}, options, nullptr,
                                    [&](size_t, data::TokenId token, float) {
                                      show(stream.add(token));
                                      return true;
                                    });
    clear_stop_request();
    show(stream.finish() + "\n");
    LS_RETURN_IF_ERROR(samples.status());
    history_.push_back({"assistant", samples->front().text});
    return ok_status();
  }

  InferenceOptions options_;
  model::ModelFiles& files_;
  rollout::Engine& engine_;
  std::vector<data::Message> history_;
  int turn_ = 0;
};

// False at the end of the input. Ctrl-C at the prompt gives an empty line.
bool read_line(std::string& line) {
  fmt::print("> ");
  std::fflush(stdout);
  if (std::getline(std::cin, line)) return true;
  if (!stop_requested()) return false;
  clear_stop_request();
  std::clearerr(stdin);
  std::cin.clear();
  line.clear();
  fmt::print("\n(/exit leaves)\n");
  return true;
}

Status run(InferenceOptions& options) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, load_for_inference(options));
  const int context = model::context_length(files.config);
  const rollout::RunnerLimits limits{1, context > 0 ? context : 4096};
  LS_ASSIGN_OR_RETURN(const auto engine,
                      inference::open_engine(options.model, options.engine, files, limits));
  engine->keep_finished(true);  // the next turn begins with their tokens
  Chat chat(options, files, *engine);
  fmt::print("/clear forgets the conversation, /exit leaves, Ctrl-C ends an answer\n");
  for (std::string line; read_line(line);) {
    if (line == "/exit") break;
    if (line == "/clear") {
      chat.reset();
    } else if (!line.empty()) {
      if (const Status status = chat.answer(line); !status.ok())
        fmt::print("{}\n", status.message());
    }
  }
  return ok_status();
}

}  // namespace

void add_chat(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<InferenceOptions>();
  options->sampling.temperature = 0.7;
  options->sampling.max_response_length = 1024;
  CLI::App* command = app.add_subcommand("chat", "Talk to a model in the terminal");
  add_inference_options(*command, *options);
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
