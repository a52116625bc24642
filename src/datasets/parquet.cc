#include "datasets/parquet.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <memory>
#include <numeric>

namespace longshot::datasets {
namespace {

Status from_arrow(const arrow::Status& status, const std::string& path) {
  if (status.ok()) return ok_status();
  return corrupt(path + ": " + status.message());
}

Result<Json> value_at(const arrow::Array& array, int64_t i);

template <typename ArrayType>
Json number_at(const arrow::Array& array, int64_t i) {
  return static_cast<const ArrayType&>(array).Value(i);
}

template <typename ArrayType>
Result<Json> list_at(const arrow::Array& array, int64_t i) {
  const auto& list = static_cast<const ArrayType&>(array);
  Json out = Json::array();
  for (int64_t j = list.value_offset(i); j < list.value_offset(i) + list.value_length(i); ++j) {
    LS_ASSIGN_OR_RETURN(Json item, value_at(*list.values(), j));
    out.push_back(std::move(item));
  }
  return out;
}

Result<Json> struct_at(const arrow::Array& array, int64_t i) {
  const auto& object = static_cast<const arrow::StructArray&>(array);
  Json out = Json::object();
  for (int f = 0; f < object.num_fields(); ++f) {
    LS_ASSIGN_OR_RETURN(Json item, value_at(*object.field(f), i));
    if (!item.is_null()) out[object.struct_type()->field(f)->name()] = std::move(item);
  }
  return out;
}

Result<Json> map_at(const arrow::Array& array, int64_t i) {
  const auto& map = static_cast<const arrow::MapArray&>(array);
  Json out = Json::object();
  for (int64_t j = map.value_offset(i); j < map.value_offset(i) + map.value_length(i); ++j) {
    LS_ASSIGN_OR_RETURN(const Json key, value_at(*map.keys(), j));
    LS_ASSIGN_OR_RETURN(Json item, value_at(*map.items(), j));
    out[key.is_string() ? key.get<std::string>() : dump_json(key)] = std::move(item);
  }
  return out;
}

Result<Json> dictionary_at(const arrow::Array& array, int64_t i) {
  const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
  return value_at(*coded.dictionary(), coded.GetValueIndex(i));
}

// Dates, times and decimals have no JSON form and become the text that people would write.
Result<Json> scalar_text_at(const arrow::Array& array, int64_t i) {
  const auto scalar = array.GetScalar(i);
  if (!scalar.ok()) return corrupt(scalar.status().message());
  return Json((*scalar)->ToString());
}

Result<Json> value_at(const arrow::Array& array, int64_t i) {
  if (array.IsNull(i)) return Json();
  switch (array.type_id()) {
    case arrow::Type::NA:
      return Json();
    case arrow::Type::BOOL:
      return number_at<arrow::BooleanArray>(array, i);
    case arrow::Type::INT8:
      return number_at<arrow::Int8Array>(array, i);
    case arrow::Type::INT16:
      return number_at<arrow::Int16Array>(array, i);
    case arrow::Type::INT32:
      return number_at<arrow::Int32Array>(array, i);
    case arrow::Type::INT64:
      return number_at<arrow::Int64Array>(array, i);
    case arrow::Type::UINT8:
      return number_at<arrow::UInt8Array>(array, i);
    case arrow::Type::UINT16:
      return number_at<arrow::UInt16Array>(array, i);
    case arrow::Type::UINT32:
      return number_at<arrow::UInt32Array>(array, i);
    case arrow::Type::UINT64:
      return number_at<arrow::UInt64Array>(array, i);
    case arrow::Type::FLOAT:
      return number_at<arrow::FloatArray>(array, i);
    case arrow::Type::DOUBLE:
      return number_at<arrow::DoubleArray>(array, i);
    case arrow::Type::STRING:
      return Json(std::string(static_cast<const arrow::StringArray&>(array).GetView(i)));
    case arrow::Type::LARGE_STRING:
      return Json(std::string(static_cast<const arrow::LargeStringArray&>(array).GetView(i)));
    case arrow::Type::STRING_VIEW:
      return Json(std::string(static_cast<const arrow::StringViewArray&>(array).GetView(i)));
    case arrow::Type::LIST:
      return list_at<arrow::ListArray>(array, i);
    case arrow::Type::LARGE_LIST:
      return list_at<arrow::LargeListArray>(array, i);
    case arrow::Type::FIXED_SIZE_LIST:
      return list_at<arrow::FixedSizeListArray>(array, i);
    case arrow::Type::STRUCT:
      return struct_at(array, i);
    case arrow::Type::MAP:
      return map_at(array, i);
    case arrow::Type::DICTIONARY:
      return dictionary_at(array, i);
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return scalar_text_at(array, i);
    default:
      return invalid_argument("type " + array.type()->ToString() +
                              " has no JSON form; drop the column");
  }
}

constexpr int64_t kRowsTogether = 1024;  // decoded at a time
constexpr int64_t kReadAhead = 1 << 20;  // bytes of each column

bool is_pandas_index(const std::string& name) {
  return name.starts_with("__index_level_");
}

using File = std::shared_ptr<arrow::io::RandomAccessFile>;

class ParquetReader final : public ShardReader {
 public:
  ParquetReader(std::string path, std::unique_ptr<parquet::arrow::FileReader> file)
      : path_(std::move(path)), file_(std::move(file)) {
    const auto metadata = file_->parquet_reader()->metadata();
    for (int g = 0; g < metadata->num_row_groups(); ++g)
      borders_.push_back(borders_.back() + metadata->RowGroup(g)->num_rows());
  }

  Result<std::optional<Row>> next(int64_t end) override {
    if (row_ >= std::min(end, borders_.back())) return std::optional<Row>();
    if (!batches_) LS_RETURN_IF_ERROR(seek({row_, 0}));
    while (!batch_ || at_ >= batch_->num_rows()) LS_RETURN_IF_ERROR(read_batch());
    Row row{Json::object(), fmt::format("{}, row {}", path_, row_ + 1)};
    for (int c = 0; c < batch_->num_columns(); ++c) LS_RETURN_IF_ERROR(add_column(c, row));
    ++at_;
    ++row_;
    return std::optional<Row>(std::move(row));
  }

  Place place() const override { return {row_, 0}; }

  Status seek(const Place& place) override {
    row_ = std::min(place.offset, borders_.back());
    batch_.reset();
    batches_.reset();
    if (row_ == borders_.back()) return ok_status();
    const auto after = std::upper_bound(borders_.begin(), borders_.end(), row_);
    const auto group = static_cast<size_t>(after - borders_.begin()) - 1;
    std::vector<int> groups(borders_.size() - 1 - group);
    std::iota(groups.begin(), groups.end(), static_cast<int>(group));
    auto batches = file_->GetRecordBatchReader(groups);
    LS_RETURN_IF_ERROR(from_arrow(batches.status(), path_));
    batches_ = std::move(*batches);
    at_ = row_ - borders_[group];
    return ok_status();
  }

  std::vector<int64_t> borders(int64_t) const override { return borders_; }

 private:
  // After it, row `at_` of the batch is the next one, or `at_` is beyond the batch by the number of
  // rows that are still to be skipped.
  Status read_batch() {
    if (batch_) at_ -= batch_->num_rows();
    LS_RETURN_IF_ERROR(from_arrow(batches_->ReadNext(&batch_), path_));
    if (batch_) return ok_status();
    return corrupt(fmt::format("{}: ends at row {}, although its footer promises {} rows", path_,
                               row_, borders_.back()));
  }

  Status add_column(int column, Row& row) const {
    const std::string& name = batch_->schema()->field(column)->name();
    if (is_pandas_index(name)) return ok_status();
    auto value = value_at(*batch_->column(column), at_);
    if (!value.ok()) return value.status().with_context(row.where + ", column '" + name + "'");
    if (!value->is_null()) row.json[name] = std::move(*value);
    return ok_status();
  }

  std::string path_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::vector<int64_t> borders_ = {0};  // first row of each row group, and the number of rows
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t row_ = 0;  // of the file
  int64_t at_ = 0;   // of the batch
};

Result<std::unique_ptr<ShardReader>> open_file(const std::string& path, File file) {
  parquet::ReaderProperties reading;
  reading.enable_buffered_stream();
  reading.set_buffer_size(kReadAhead);
  parquet::ArrowReaderProperties decoding;
  decoding.set_pre_buffer(false);  // it would hold whole row groups
  decoding.set_batch_size(kRowsTogether);
  parquet::arrow::FileReaderBuilder builder;
  LS_RETURN_IF_ERROR(from_arrow(builder.Open(std::move(file), reading), path));
  std::unique_ptr<parquet::arrow::FileReader> reader;
  LS_RETURN_IF_ERROR(from_arrow(builder.properties(decoding)->Build(&reader), path));
  return std::unique_ptr<ShardReader>(std::make_unique<ParquetReader>(path, std::move(reader)));
}

}  // namespace

Result<std::unique_ptr<ShardReader>> open_parquet(const std::string& path) {
  auto file = arrow::io::ReadableFile::Open(path);
  LS_RETURN_IF_ERROR(from_arrow(file.status(), path));
  return open_file(path, std::move(*file));
}

Result<std::unique_ptr<ShardReader>> open_parquet_bytes(const std::string& path,
                                                        std::string bytes) {
  return open_file(
      path, std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes))));
}

}  // namespace longshot::datasets
