"""TensorBoard's own reader understands our event files, even after a resume."""

import json
import math
import os
import pathlib
import subprocess

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


@pytest.fixture
def write_run_log():
    default = pathlib.Path(__file__).resolve().parents[2] / "build/release/bin/write_run_log"
    program = os.environ.get("LONGSHOT_WRITE_RUN_LOG", default)

    def run(folder, last_step, first, end, offset):
        subprocess.run([str(program), str(folder), str(last_step), str(first), str(end), str(offset)],
                       check=True, timeout=60)

    return run


def read_back(folder):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def test_every_scalar_is_read_back(tmp_path, write_run_log):
    write_run_log(tmp_path, -1, 1, 6, 0.5)
    events = read_back(tmp_path)
    assert sorted(events.Tags()["scalars"]) == ["train/bad", "train/value"]
    assert [(e.step, e.value) for e in events.Scalars("train/value")] == [(s, s + 0.5) for s in range(1, 6)]
    assert all(math.isnan(e.value) for e in events.Scalars("train/bad"))
    assert all(e.wall_time > 1.7e9 for e in events.Scalars("train/value"))


def test_a_resumed_run_is_one_line(tmp_path, write_run_log):
    write_run_log(tmp_path, -1, 1, 8, 0)
    write_run_log(tmp_path, 3, 4, 6, 100)  # killed after step 7, resumed from the checkpoint of step 3
    expected = [(1, 1), (2, 2), (3, 3), (4, 104), (5, 105)]
    assert [(e.step, e.value) for e in read_back(tmp_path).Scalars("train/value")] == expected
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["train/value"]) for line in lines] == expected


def test_an_unfinished_record_does_not_hide_the_others(tmp_path, write_run_log):
    write_run_log(tmp_path, -1, 1, 4, 0)
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert [e.step for e in read_back(tmp_path).Scalars("train/value")] == [1, 2]


def test_settings_and_samples_are_texts_and_hyperparameters(tmp_path, write_run_log):
    write_run_log(tmp_path, -1, 1, 4, 0)
    events = read_back(tmp_path)
    texts = {tag: [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(tag)] for tag in events.Tags()["tensors"]
             if events.SummaryMetadata(tag).plugin_data.plugin_name == "text"}
    ((_, config),) = texts["config/text_summary"]
    assert config.startswith("```\n[optim]\nlr = 3e-5")
    ((step, sample),) = texts["held_out/text_summary"]
    assert step == 2 and sample == "\n\n**p7**, wrong\n\n    1+1\n\n    <b>\n    2"
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.hparams["optim.lr"].number_value == 3e-5
    assert start.hparams["model.path"].string_value == "a" and start.hparams["data.shuffle"].bool_value is True
    assert len(start.hparams) == 3 and start.start_time_secs > 1.7e9
