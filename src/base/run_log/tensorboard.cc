#include "base/run_log/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>

#include "base/os/clock.h"
#include "base/os/machine.h"
#include "base/run_log/tensorboard.pb.h"

namespace longshot {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

// TFRecord stores checksums rotated and shifted, so that a record inside a record does not look
// valid.
uint32_t masked(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <typename T>
void append_little_endian(T value, std::string& out) {
  for (size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

tensorboard::Event make_event(int64_t step) {
  tensorboard::Event event;
  event.set_wall_time(unix_time());
  event.set_step(step);
  return event;
}

std::string file_name() {
  // Separates two files that one process creates within a second.
  static std::atomic<int> counter{0};
  return fmt::format("events.out.tfevents.{:010d}.{}.{}.{}", static_cast<int64_t>(unix_time()),
                     host_name(), ::getpid(), counter++);
}

constexpr int kTypeText = 7;  // DT_STRING

tensorboard::Hyperparameters::Value hyperparameter(const std::string& text) {
  tensorboard::Hyperparameters::Value value;
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text == "true" || text == "false") {
    value.set_truth(text == "true");
  } else if (!text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size()) {
    value.set_number(number);
  } else {
    value.set_text(text);
  }
  return value;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

std::string tf_record(std::string_view payload) {
  std::string record;
  record.reserve(payload.size() + 16);
  append_little_endian<uint64_t>(payload.size(), record);
  append_little_endian<uint32_t>(masked(crc32c(record)), record);
  record.append(payload);
  append_little_endian<uint32_t>(masked(crc32c(payload)), record);
  return record;
}

Result<TensorBoardWriter> TensorBoardWriter::create(const std::filesystem::path& directory,
                                                    int64_t first_step) {
  LS_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(directory / file_name()));
  TensorBoardWriter writer(std::move(file));
  LS_RETURN_IF_ERROR(writer.write_header(first_step));
  return writer;
}

Status TensorBoardWriter::write_header(int64_t first_step) {
  tensorboard::Event version = make_event(0);
  version.set_file_version("brain.Event:2");
  tensorboard::Event start = make_event(first_step);
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  return file_.append(tf_record(version.SerializeAsString()) +
                      tf_record(start.SerializeAsString()));
}

Status TensorBoardWriter::append(int64_t step, const Metrics& metrics) {
  tensorboard::Event event = make_event(step);
  for (const auto& [name, value] : metrics) {
    tensorboard::Summary::Value* entry = event.mutable_summary()->add_value();
    entry->set_tag(name);
    entry->set_simple_value(static_cast<float>(value));
  }
  return file_.append(tf_record(event.SerializeAsString()));
}

Status TensorBoardWriter::append_text(int64_t step, const std::string& name,
                                      const std::string& text) {
  tensorboard::Event event = make_event(step);
  tensorboard::Summary::Value* entry = event.mutable_summary()->add_value();
  entry->set_tag(name + "/text_summary");
  entry->mutable_metadata()->mutable_plugin()->set_name("text");
  entry->mutable_tensor()->set_type(kTypeText);
  entry->mutable_tensor()->mutable_shape()->add_dimensions()->set_size(1);
  entry->mutable_tensor()->add_texts(text);
  return file_.append(tf_record(event.SerializeAsString()));
}

Status TensorBoardWriter::append_settings(const FlatSettings& settings) {
  tensorboard::Hyperparameters parameters;
  for (const auto& [key, value] : settings)
    (*parameters.mutable_start()->mutable_values())[key] = hyperparameter(value);
  parameters.mutable_start()->set_time(unix_time());
  tensorboard::Event event = make_event(0);
  tensorboard::Summary::Value* entry = event.mutable_summary()->add_value();
  entry->set_tag("_hparams_/session_start_info");
  entry->mutable_metadata()->mutable_plugin()->set_name("hparams");
  entry->mutable_metadata()->mutable_plugin()->set_content(parameters.SerializeAsString());
  return file_.append(tf_record(event.SerializeAsString()));
}

}  // namespace longshot
