#include "datasets/parquet.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>

#include <memory>

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

Result<std::shared_ptr<arrow::Table>> read_table(const std::string& path, std::string_view bytes) {
  const auto file =
      std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(bytes));
  auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool());
  LS_RETURN_IF_ERROR(from_arrow(reader.status(), path));
  (*reader)->set_use_threads(false);
  auto table = (*reader)->ReadTable();
  LS_RETURN_IF_ERROR(from_arrow(table.status(), path));
  return *table;
}

constexpr int64_t kRowsTogether = 4096;  // converted to JSON at a time

bool is_pandas_index(const std::string& name) {
  return name.starts_with("__index_level_");
}

Status add_column(const arrow::Table& table, int column, std::vector<Row>& rows) {
  const std::string& name = table.field(column)->name();
  if (is_pandas_index(name)) return ok_status();
  const auto& chunks = table.column(column)->chunks();
  int64_t r = 0;
  for (const auto& chunk : chunks) {
    for (int64_t i = 0; i < chunk->length(); ++i, ++r) {
      Row& row = rows[static_cast<size_t>(r)];
      auto value = value_at(*chunk, i);
      if (!value.ok()) return value.status().with_context(row.where + ", column '" + name + "'");
      if (!value->is_null()) row.json[name] = std::move(*value);
    }
  }
  return ok_status();
}

}  // namespace

Status read_parquet(const std::string& path, std::string_view bytes,
                    const std::function<Status(Row&& row)>& use) {
  LS_ASSIGN_OR_RETURN(const auto table, read_table(path, bytes));
  for (int64_t begin = 0; begin < table->num_rows(); begin += kRowsTogether) {
    const auto part = table->Slice(begin, kRowsTogether);
    std::vector<Row> rows;
    for (int64_t r = 0; r < part->num_rows(); ++r)
      rows.push_back({Json::object(), fmt::format("{}, row {}", path, begin + r + 1)});
    for (int c = 0; c < part->num_columns(); ++c) LS_RETURN_IF_ERROR(add_column(*part, c, rows));
    for (Row& row : rows) LS_RETURN_IF_ERROR(use(std::move(row)));
  }
  return ok_status();
}

}  // namespace longshot::datasets
