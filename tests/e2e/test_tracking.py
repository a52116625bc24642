"""Runs copied to tracking servers: `longshot track` to a server with MLflow's API, while the run goes on and after it was
resumed, and `python -m longshot.wandb` to a stand-in of the package wandb."""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from resume_support import interrupt, lines, metrics, start, train_config
from support import LONGSHOT, ROOT, longshot, tiny_model


class Mlflow(http.server.ThreadingHTTPServer):
    """Keeps what is sent: params, metrics by (name, step), artifacts, the status."""

    def __init__(self):
        self.params, self.metrics, self.artifacts, self.experiments = {}, {}, {}, {}
        self.status, self.runs, self.repeated, self.down = None, 0, 0, False
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, route, body):
        if route == "experiments/search":
            return {"experiments": [{"experiment_id": i} for name, i in self.experiments.items() if body["filter"] == f"name = '{name}'"]}
        if route == "experiments/create":
            self.experiments[body["name"]] = "1"
            return {"experiment_id": "1"}
        if route == "runs/create":
            self.runs += 1
            return {"run": {"info": {"run_id": "r", "artifact_uri": "mlflow-artifacts:/1/r/artifacts"}}}
        if route == "runs/log-batch":
            self.params.update((param["key"], param["value"]) for param in body.get("params", []))
            for metric in body.get("metrics", []):
                key = metric["key"], metric["step"]
                self.repeated += key in self.metrics
                self.metrics[key] = metric["value"]
        if route == "runs/update":
            self.status = body["status"]
        return {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.down:
            return self.send_error(503)
        if self.command == "PUT":
            self.server.artifacts[self.path.split("/artifacts/", 2)[-1]] = body
            answer = {}
        else:
            answer = self.server.answer(self.path.removeprefix("/api/2.0/mlflow/"), body)
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was stopped and continued, and the server that followed it meanwhile."""
    root = tmp_path_factory.mktemp("tracking")
    model, data = tiny_model(root)
    folder, file, server = root / "run", root / "run.toml", Mlflow()
    file.write_text(train_config(folder, model, data, 10))
    interrupt(file, folder, lambda: lines(folder) >= 3)
    follower = subprocess.Popen([LONGSHOT, "track", str(folder), "--mlflow", server.url, "--experiment", "sums", "--follow", "--every", "0.1"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not server.metrics:
        assert follower.poll() is None, follower.communicate()
    server.down = True
    process = start(file)
    while lines(folder) < 8:
        assert process.poll() is None
    server.down = False
    assert process.wait(120) == 0
    follower.send_signal(signal.SIGINT)
    out, errors = follower.communicate(timeout=60)
    assert follower.returncode == 0 and "sent up to step 10" in out, errors
    yield folder, server
    server.shutdown()


def test_a_server_has_each_metric_of_a_resumed_run_once(run):
    folder, server = run
    sent = {(name, row["step"]): value for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
            for name, value in row.items() if name != "step"}
    assert set(server.metrics) == set(sent) and server.repeated == 0 and server.runs == 1
    assert {key: value for key, value in server.metrics.items() if key[0] == "val/accuracy"} == {
        key: value for key, value in sent.items() if key[0] == "val/accuracy"}
    assert server.status == "FINISHED" and server.experiments == {"sums": "1"}
    assert server.params["trainer.total_iterations"] == "10" and float(server.params["optim.lr"]) == 3e-4


def test_a_server_has_the_held_out_samples_as_tables(run):
    folder, server = run
    assert sorted(server.artifacts) == [f"samples/held_out_{step:06d}.json" for step in (0, 5, 10)]
    table = server.artifacts["samples/held_out_000010.json"]
    rows = [json.loads(line) for line in (folder / "samples/held_out_000010.jsonl").read_text().splitlines()]
    assert [row[table["columns"].index("response")] for row in table["data"]] == [row["response"] for row in rows]


def test_a_second_call_sends_nothing(run):
    folder, server = run
    before = dict(server.metrics)
    assert "sent up to step 10" in longshot("track", folder, "--mlflow", server.url, "--experiment", "sums").stdout
    assert server.metrics == before and server.repeated == 0 and server.runs == 1


def test_what_cannot_work_is_said(run, tmp_path):
    folder, server = run
    assert "is not a run folder" in longshot("track", tmp_path, "--mlflow", server.url, code=2).stderr
    assert "tracking.json" in longshot("track", folder, "--mlflow", "http://127.0.0.1:9", code=2).stderr
    (tmp_path / "config.toml").write_text("")
    assert "127.0.0.1:9" in longshot("track", tmp_path, "--mlflow", "http://127.0.0.1:9", code=1).stderr
    assert "expected http" in longshot("track", tmp_path, "--mlflow", "sqlite:///x", code=2).stderr
    assert "is not a run folder" in longshot("track", tmp_path / ("x" * 300), "--mlflow", "http://127.0.0.1:9", code=2).stderr
    assert not (tmp_path / "tracking.json").exists()


STAND_IN = """
import json, os
class Table:
    def __init__(self, columns, data): self.columns, self.data = columns, data
class Run:
    def __init__(self, id, **given): self.id, self.given = id or "w1", given; self.write({"init": {"id": id, **given}})
    def write(self, entry): open(os.environ["SENT"], "a").write(json.dumps(entry, default=lambda table: {"rows": len(table.data)}) + "\\n")
    def log(self, values, step): self.write({"step": step, "values": values})
    def finish(self): self.write({"finish": True})
def init(**given): return Run(**given)
"""


def test_weights_and_biases_gets_each_row_once(run, tmp_path):
    folder, _ = run
    (tmp_path / "wandb.py").write_text(textwrap.dedent(STAND_IN))
    sent = tmp_path / "sent"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'python'}", "SENT": str(sent)}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-B", "-m", "longshot.wandb", str(folder), "--project", "sums"], env=environment,
                              capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert done.returncode == 0 and "sent up to step 10" in done.stdout, done.stderr
    entries = [json.loads(line) for line in sent.read_text().splitlines()]
    first, second = [entry["init"] for entry in entries if "init" in entry]
    assert first["id"] is None and second["id"] == "w1" and second["resume"] == "allow"
    assert first["project"] == "sums" and first["name"] == "run" and first["config"]["trainer.total_iterations"] == 10
    rows = [entry for entry in entries if "step" in entry]
    assert [row["step"] for row in rows] == [row["step"] for row in metrics(folder)]
    assert [row["step"] for row in rows if "held_out" in row["values"]] == [0, 5, 10]
    assert rows[-1]["values"]["held_out"] == {"rows": 16}
    (folder / "wandb.json").unlink()


def test_the_bridge_says_what_is_missing(run, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    for path, message in ((run[0], "pip install wandb"), (tmp_path, "is not a run folder")):
        done = subprocess.run([sys.executable, "-B", "-m", "longshot.wandb", str(path)], env=environment, capture_output=True, text=True,
                              cwd=tmp_path, timeout=60)
        assert done.returncode == 1 and re.search(message, done.stderr), done.stderr
