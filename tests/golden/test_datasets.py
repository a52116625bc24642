"""Parquet files written by Python's libraries contain the same rows as JSONL files with the same content."""

import datetime
import decimal
import json

import numpy
import pyarrow
import pyarrow.parquet
import pytest

VERL = [
    {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "system", "content": "Sé breve."}, {"role": "user", "content": f"q{i}\n\"2\"\u00d73?"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(i * 3)},
        "extra_info": {"index": i, "split": "train", "difficulty": i / 4, "tags": ["a", "b"][: i % 3], "solved": i % 2 == 0},
    }
    for i in range(700)
]
COUNTDOWN = [
    {
        "data_source": "countdown",
        "prompt": [{"role": "user", "content": f"{i}"}],
        "reward_model": {"ground_truth": {"numbers": [i, i + 1, 2**40], "target": 2 * i + 1}},
        "extra_info": {"index": i},
    }
    for i in range(5)
]
TRL = [{"prompt": f"p{i}", "completion": f"c{i}"} for i in range(9)]
MESSAGES = [
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": f"b{i}"}] * (1 + i % 3)}
    for i in range(9)
]


def inspect(longshot, *files, rows=10_000):
    facts = json.loads(longshot("data", "inspect", "--json", "--rows", rows, *files).stdout)
    facts["first"] = [row["row"] for row in facts["first"]]
    return facts


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_pyarrow(path, rows, **options):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, **options)
    return path


def write_as_pandas(path, rows):
    """Writes the file that DataFrame.to_parquet writes for a frame whose index is not a plain range."""
    table = pyarrow.Table.from_pylist(rows)
    table = table.append_column("__index_level_0__", pyarrow.array(range(5, 5 + len(rows))))
    note = {"index_columns": ["__index_level_0__"], "columns": [], "creator": {"library": "pyarrow"}}
    pyarrow.parquet.write_table(table.replace_schema_metadata({b"pandas": json.dumps(note).encode()}), path)
    return path


@pytest.mark.parametrize("rows", [VERL, COUNTDOWN, TRL, MESSAGES], ids=["verl", "countdown", "trl", "messages"])
def test_parquet_equals_jsonl(longshot, tmp_path, rows):
    expected = inspect(longshot, write_jsonl(tmp_path / "a.jsonl", rows))
    assert expected["first"] == rows
    assert expected["rows"] == len(rows)
    written = [
        write_pyarrow(tmp_path / "a.parquet", rows),
        write_pyarrow(tmp_path / "groups.parquet", rows, row_group_size=100, compression="zstd", data_page_size=1024),
        write_pyarrow(tmp_path / "plain.parquet", rows, use_dictionary=False, compression="gzip", version="1.0"),
        write_as_pandas(tmp_path / "pandas.parquet", rows),
    ]
    for path in written:
        assert inspect(longshot, path) == expected, path.name


def test_numpy_columns(longshot, tmp_path):
    count = 50
    columns = {
        "prompt": pyarrow.array(numpy.array([f"p{i}" for i in range(count)])),
        "answer": pyarrow.array(numpy.arange(count, dtype=numpy.uint8)),
        "wide": pyarrow.array(numpy.arange(count, dtype=numpy.uint64) + 2**63),
        "small": pyarrow.array(numpy.arange(count, dtype=numpy.float32) / 3),
        "vector": pyarrow.array(list(numpy.arange(count * 3).reshape(count, 3))),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "n.parquet")
    first = inspect(longshot, tmp_path / "n.parquet")["first"]
    assert [row["answer"] for row in first] == list(range(count))
    assert first[7] == {"prompt": "p7", "answer": 7, "wide": 2**63 + 7, "small": float(numpy.float32(7) / 3),
                        "vector": [21, 22, 23]}


def test_other_column_types(longshot, tmp_path):
    kinds = {
        "prompt": pyarrow.array(["a", "b"], pyarrow.large_string()),
        "answer": pyarrow.array(["x", "y"]).dictionary_encode(),
        "tags": pyarrow.array([[("k", 1), ("l", 2)], []], pyarrow.map_(pyarrow.string(), pyarrow.int16())),
        "pair": pyarrow.array([[1, 2], [3, 4]], pyarrow.list_(pyarrow.int32(), 2)),
        "day": pyarrow.array([datetime.date(2025, 1, 22), None]),
        "price": pyarrow.array([decimal.Decimal("1.50"), decimal.Decimal("2.25")]),
        "nested": pyarrow.array([{"a": {"b": [{"c": None}, {"c": 1}]}}, None]),
    }
    pyarrow.parquet.write_table(pyarrow.table(kinds), tmp_path / "k.parquet")
    assert inspect(longshot, tmp_path / "k.parquet")["first"] == [
        {"prompt": "a", "answer": "x", "tags": {"k": 1, "l": 2}, "pair": [1, 2], "day": "2025-01-22", "price": "1.50",
         "nested": {"a": {"b": [{}, {"c": 1}]}}},
        {"prompt": "b", "answer": "y", "tags": {}, "pair": [3, 4], "price": "2.25"},
    ]


def test_rows_that_lack_a_member(longshot, tmp_path):
    """The file's single type has every member; a row that lacks one has null in the file and does not get the member."""
    rows = [{"prompt": "a", "answer": "1", "extra_info": {"index": 0, "hint": "h"}},
            {"prompt": "b", "answer": "2", "extra_info": {"index": 1}}]
    jsonl, parquet = write_jsonl(tmp_path / "a.jsonl", rows), write_pyarrow(tmp_path / "a.parquet", rows)
    assert inspect(longshot, parquet) == inspect(longshot, jsonl)


def test_bad_rows_are_named(longshot, tmp_path):
    def error(path):
        done = longshot("data", "inspect", path, check=False)
        assert done.returncode == 2, done.stdout
        return done.stderr

    no_truth = [dict(VERL[0]), dict(VERL[1], reward_model={"style": "rule", "ground_truth": None})]
    assert "a.parquet, row 2: 'reward_model' has no 'ground_truth'" in error(
        write_pyarrow(tmp_path / "a.parquet", no_truth))
    assert "a.jsonl:2: 'reward_model' has no 'ground_truth'" in error(write_jsonl(tmp_path / "a.jsonl", no_truth))
    picture = pyarrow.table({"prompt": ["a"], "image": pyarrow.array([b"\x00"])})
    pyarrow.parquet.write_table(picture, tmp_path / "b.parquet")
    assert "b.parquet, row 1, column 'image': type binary has no JSON form" in error(tmp_path / "b.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    assert "cut.parquet" in error(tmp_path / "cut.parquet")
    (tmp_path / "c.jsonl").write_text('{"prompt": "a"}\n{"prompt": ')
    assert "c.jsonl:2: not valid JSON" in error(tmp_path / "c.jsonl")
    assert "missing.jsonl" in error(tmp_path / "missing.jsonl")


def test_made_data_is_inspected(longshot, tmp_path):
    longshot("data", "make", "--task", "countdown", "--out", tmp_path, "--train", 50, "--val", 10, "--sft", 20,
             "--levels", "3-4", "--seed", 3)
    facts = inspect(longshot, tmp_path / "train.jsonl", tmp_path / "val.jsonl", rows=1)
    assert facts["schema"] == {"verl": 60}
    assert facts["prompts"]["data_sources"] == {"countdown": 60}
    assert (facts["prompts"]["difficulty"]["min"], facts["prompts"]["difficulty"]["max"]) == (3, 4)
    assert inspect(longshot, tmp_path / "sft.jsonl")["schema"] == {"prompt+completion": 20}
    wrong = longshot("data", "make", "--task", "countdown", "--out", tmp_path, "--levels", "3to4", check=False)
    assert wrong.returncode == 2 and "'3to4' is not a level or a range such as 2-8" in wrong.stderr
