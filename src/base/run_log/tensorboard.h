#pragma once
// TensorBoard event files: scalars, texts and hyperparameters, in TFRecord framing. Format:
// tensorflow/core/lib/io/record_writer.h.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "base/run_log/append_file.h"
#include "base/settings/flat_settings.h"
#include "base/status.h"

namespace longshot {

// One event file. Movable only. Not thread-safe.
class TensorBoardWriter {
 public:
  // Creates a new events.out.tfevents.* in `directory`, which must exist. Readers discard the
  // values of `first_step` and later steps from earlier files of the directory, so a resumed run is
  // drawn as one line.
  static Result<TensorBoardWriter> create(const std::filesystem::path& directory,
                                          int64_t first_step);

  Status append(int64_t step, const Metrics& metrics);
  // A text in Markdown, for the page "Text".
  Status append_text(int64_t step, const std::string& name, const std::string& text);
  // For the page "HParams". Numbers and truth values are compared as such there.
  Status append_settings(const FlatSettings& settings);
  Status sync() { return file_.sync(); }

 private:
  explicit TensorBoardWriter(AppendFile file) : file_(std::move(file)) {}
  Status write_header(int64_t first_step);
  AppendFile file_;
};

uint32_t crc32c(std::string_view bytes);          // Castagnoli polynomial
std::string tf_record(std::string_view payload);  // length, masked crc, payload, masked crc

}  // namespace longshot
