#include "wire/convert.h"

#include <type_traits>

namespace longshot::wire {
namespace {

constexpr const char* kWhere = "a message";

template <typename To, typename From>
void copy(const From& from, To* to) {
  to->Add(from.begin(), from.end());
}

template <typename T, typename From>
std::vector<T> list(const From& from) {
  return {from.begin(), from.end()};
}

void put(const Job& job, pb::Job* out) {
  out->set_id(job.id);
  out->set_prompt_id(job.sample.prompt_id);
  out->set_index(job.sample.index);
  out->set_seed(job.sample.seed);
  copy(job.sample.prompt_tokens, out->mutable_prompt_tokens());
  copy(job.sample.tokens, out->mutable_tokens());
  copy(job.sample.logprobs, out->mutable_logprobs());
  for (const data::Segment& s : job.sample.segments) {
    pb::Segment* segment = out->add_segments();
    segment->set_begin(s.begin);
    segment->set_end(s.end);
    segment->set_version(s.version);
    segment->set_engine(static_cast<int32_t>(s.engine));
  }
  out->set_max_response_length(job.max_response_length);
  out->set_segment_tokens(job.segment_tokens);
  copy(job.forced, out->mutable_forced());
}

Result<Job> job_of(const pb::Job& in) {
  Job job;
  job.id = in.id();
  job.sample.prompt_id = in.prompt_id();
  job.sample.index = in.index();
  job.sample.seed = in.seed();
  job.sample.prompt_tokens = list<data::TokenId>(in.prompt_tokens());
  job.sample.tokens = list<data::TokenId>(in.tokens());
  job.sample.logprobs = list<float>(in.logprobs());
  for (const pb::Segment& s : in.segments()) {
    if (s.engine() < 0 || s.engine() >= static_cast<int32_t>(data::kEngineKinds))
      return corrupt("a job with tokens of an engine that this version does not know");
    job.sample.segments.push_back(
        {s.begin(), s.end(), s.version(), static_cast<data::EngineKind>(s.engine())});
  }
  job.sample.finish = data::FinishReason::partial;
  job.max_response_length = in.max_response_length();
  job.segment_tokens = in.segment_tokens();
  job.forced = list<data::TokenId>(in.forced());
  if (job.sample.logprobs.size() != job.sample.tokens.size())
    return corrupt("a job has another number of log-probabilities than of tokens");
  return job;
}

Result<ToWorker> jobs_of(const pb::Jobs& in) {
  Jobs jobs{.round = in.round(), .sampling = {}, .jobs = {}};
  LS_ASSIGN_OR_RETURN(jobs.sampling, parse_json(in.sampling(), kWhere));
  for (const pb::Job& one : in.jobs()) {
    LS_ASSIGN_OR_RETURN(Job job, job_of(one));
    jobs.jobs.push_back(std::move(job));
  }
  return ToWorker(std::move(jobs));
}

void put(const Piece& piece, pb::Piece* out) {
  out->set_job(piece.job);
  out->set_begin(piece.begin);
  copy(piece.tokens, out->mutable_tokens());
  copy(piece.logprobs, out->mutable_logprobs());
  out->set_version(piece.version);
  if (!piece.finished) return;
  out->set_finish(data::finish_reason_name(piece.finish));
  out->set_text(piece.text);
}

Result<FromWorker> piece_of(const pb::Piece& in) {
  Piece piece{.job = in.job(),
              .begin = in.begin(),
              .tokens = list<data::TokenId>(in.tokens()),
              .logprobs = list<float>(in.logprobs()),
              .version = in.version(),
              .finished = !in.finish().empty(),
              .finish = data::FinishReason::partial,
              .text = in.text()};
  if (piece.logprobs.size() != piece.tokens.size() || piece.begin < 0)
    return corrupt("a piece of a sample has another number of log-probabilities than of tokens");
  if (!piece.finished) return FromWorker(std::move(piece));
  const auto reason = data::parse_finish_reason(in.finish());
  if (!reason) return corrupt("a sample has ended by the unknown reason '" + in.finish() + "'");
  piece.finish = *reason;
  return FromWorker(std::move(piece));
}

// Reads the JSON of a message into the member of a struct.
template <typename Message, typename Struct>
Result<Message> with_json(const std::string& text, Json Struct::*member) {
  Struct out;
  LS_ASSIGN_OR_RETURN(out.*member, parse_json(text, kWhere));
  return Message(std::move(out));
}

Result<ToWorker> weights_of(const std::string& text) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(text, kWhere));
  NewWeights out;
  LS_ASSIGN_OR_RETURN(out.version, json_get<int64_t>(json, "version", kWhere));
  LS_ASSIGN_OR_RETURN(out.source, json_get<Json>(json, "source", kWhere));
  return ToWorker(std::move(out));
}

struct ToWorkerWriter {
  pb::ToWorker& out;
  void operator()(const Welcome& m) { out.set_welcome(dump_json(m.settings)); }
  void operator()(const NewWeights& m) {
    out.set_weights(dump_json(Json{{"version", m.version}, {"source", m.source}}));
  }
  void operator()(const Jobs& m) {
    pb::Jobs* jobs = out.mutable_jobs();
    jobs->set_round(m.round);
    jobs->set_sampling(dump_json(m.sampling));
    for (const Job& job : m.jobs) put(job, jobs->add_jobs());
  }
  void operator()(const Drop& m) { copy(m.ids, out.mutable_drop()->mutable_ids()); }
  void operator()(const Release&) { out.mutable_release(); }
  void operator()(const End& m) { out.set_end(m.reason); }
};

struct FromWorkerWriter {
  pb::FromWorker& out;
  void operator()(const Hello& m) { out.set_hello(dump_json(m.who)); }
  void operator()(const Ready& m) { out.set_ready(m.version); }
  void operator()(const Piece& m) { put(m, out.mutable_piece()); }
  void operator()(const JobError& m) {
    out.mutable_error()->set_job(m.job);
    out.mutable_error()->set_reason(m.reason);
  }
  void operator()(const Report& m) { out.set_report(dump_json(m.figures)); }
};

}  // namespace

pb::ToWorker to_proto(const ToWorker& message) {
  pb::ToWorker out;
  std::visit(ToWorkerWriter{out}, message);
  return out;
}

pb::FromWorker to_proto(const FromWorker& message) {
  pb::FromWorker out;
  std::visit(FromWorkerWriter{out}, message);
  return out;
}

Result<ToWorker> from_proto(const pb::ToWorker& message) {
  switch (message.what_case()) {
    case pb::ToWorker::kWelcome:
      return with_json<ToWorker>(message.welcome(), &Welcome::settings);
    case pb::ToWorker::kWeights:
      return weights_of(message.weights());
    case pb::ToWorker::kJobs:
      return jobs_of(message.jobs());
    case pb::ToWorker::kDrop:
      return ToWorker(Drop{list<uint64_t>(message.drop().ids())});
    case pb::ToWorker::kRelease:
      return ToWorker(Release{});
    case pb::ToWorker::kEnd:
      return ToWorker(End{message.end()});
    case pb::ToWorker::WHAT_NOT_SET:
      break;
  }
  return corrupt("the coordinator sent a message of an unknown kind");
}

Result<FromWorker> from_proto(const pb::FromWorker& message) {
  switch (message.what_case()) {
    case pb::FromWorker::kHello:
      return with_json<FromWorker>(message.hello(), &Hello::who);
    case pb::FromWorker::kReady:
      return FromWorker(Ready{message.ready()});
    case pb::FromWorker::kPiece:
      return piece_of(message.piece());
    case pb::FromWorker::kError:
      return FromWorker(JobError{message.error().job(), message.error().reason()});
    case pb::FromWorker::kReport:
      return with_json<FromWorker>(message.report(), &Report::figures);
    case pb::FromWorker::WHAT_NOT_SET:
      break;
  }
  return corrupt("the worker sent a message of an unknown kind");
}

}  // namespace longshot::wire
