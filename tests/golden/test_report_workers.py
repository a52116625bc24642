"""The report of artificial runs on many machines: what their workers did, and when. A run in one process has no such
section."""

import json

import pytest

from test_report import HOSTILE, LAYOUT, look, write_lines, write_run

READER = """
const all = (selector) => [...document.querySelectorAll(selector)];
const seen = {hidden: document.getElementById("workers").hidden, heads: all("#events th").map((h) => h.textContent)};
const titleOf = (card) => card.querySelector("h3").firstChild.textContent;
seen.charts = all("#workers .card").filter((c) => c.querySelector("svg")).map(titleOf);
seen.broken = all("svg *").filter((n) => [...n.attributes].some((a) => /NaN|undefined|Infinity/.test(a.value))).length;
seen.hosts = all("#workers .legend span").map((s) => s.textContent).filter((text) => text.startsWith("node"));
seen.areas = all("#workers path.area").length;
seen.rows = all("#events tbody tr").map((r) => [...r.cells].map((c) => c.innerText.trim()));
const marks = () => all("#workers line.mark");
// The iteration at which a mark is, from the labels of the axis.
const placeOf = (mark) => {
  const labels = [...mark.ownerSVGElement.querySelectorAll(".x-label")], at = (t) => [Number(t.getAttribute("x")), Number(t.textContent)];
  const [[x0, v0], [x1, v1]] = [at(labels[0]), at(labels.at(-1))];
  return Math.round(v0 + (Number(mark.getAttribute("x1")) - x0) / (x1 - x0) * (v1 - v0));
};
seen.marks = marks().map((m) => [placeOf(m), m.classList.contains("bad"), m.textContent]);
seen.marked = [...new Set(marks().map((m) => titleOf(m.closest(".card"))))];
seen.injected = document.querySelector("main img") !== null || window.wasInjected === true;
seen.others = [...document.querySelectorAll("#others summary")].map((s) => s.textContent);
all(".chip").at(-1).click();
seen.marksWithoutTheRun = marks().length;
tell(seen);
"""

EVENTS = [(0, "joined", "w0", "node1", 0, ""), (0, "joined", "w1", "node2", 0, ""),
          (20, "left", "w1", "node2", 12, "the connection ended"), (20, "joined", "w2", "node2", 0, ""),
          (40, "silent", "w0", "node1", 7, "it was not heard of for 3 s"), (50, "back", "w0", "node1", 0, ""),
          (55, "turned out", HOSTILE, HOSTILE, 1, HOSTILE), (61, "left", "w2", "node2", 3, "the connection ended")]


def write_cluster_run(folder):
    """A run of 60 iterations; the last event came in one that has not ended."""
    write_run(folder, 0)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        lost = 20 <= row["step"] < 30
        row |= {"rollout/workers": 1 if lost else 2, "rollout/tokens_per_second": 500.0, "rollout/reissued": 12 if row["step"] == 20 else 0,
                "rollout/repeated_tokens": 4, "rollout/differing_tokens": 0, "rollout/host_tokens/node1": 700, "rollout/loads": 2,
                "rollout/load_seconds_max": 0.2, "replay/groups": 16, "replay/waiting": 8, "replay/dropped_stale": 0,
                "replay/staleness/mean": 1.5, "replay/staleness/max": 3, "perf/trainer_idle": 0.25, "timing_s/update_weights": 0.1}
        if not lost:
            row["rollout/host_tokens/node2"] = 500
    write_lines(folder / "metrics.jsonl", rows)
    write_lines(folder / "events.jsonl",
                [{"step": step, "time": 1.7e9 + i, "event": event, "worker": worker, "host": host, "address": "10.0.0.1:5", "samples": samples,
                  "cause": cause} for i, (step, event, worker, host, samples, cause) in enumerate(EVENTS)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "alone", 0)
    write_cluster_run(folder / "many")
    return folder


def report(longshot, folder, name, *runs):
    (folder / name).mkdir()
    output = folder / name / "report.html"
    longshot("report", *(folder / run for run in runs), "--output", output)
    return output


@pytest.fixture(scope="module")
def page(folder, longshot):
    return report(longshot, folder, "both", "alone", "many")


@pytest.fixture(scope="module")
def seen(page):
    return look(page, READER)


def test_a_run_in_one_process_has_no_workers(folder, longshot):
    seen = look(report(longshot, folder, "one", "alone"), READER)
    assert seen["hidden"] and seen["charts"] == [] and seen["rows"] == []


def test_charts_show_what_the_run_has_recorded(seen):
    assert not seen["hidden"] and seen["broken"] == 0
    assert seen["charts"] == [
        "Workers that are ready", "Speed of all workers", "Where the tokens come from", "Samples given to a further worker",
        "Tokens that two workers generated", "Groups in the replay buffer", "Staleness of trained samples", "Groups dropped as too old",
        "Trainer idle", "Time to publish weights", "Longest load of weights by a worker", "Loads of weights by workers"]
    assert seen["hosts"] == ["node1", "node2"] and seen["areas"] == 2
    assert seen["others"] == ["custom2", "perf1", "rollout1"], "no metric is shown twice"


def test_events_are_a_table_with_host_and_cause(seen):
    assert seen["heads"] == ["iteration", "run", "time", "event", "worker", "host", "samples", "cause"]
    assert len(seen["rows"]) == len(EVENTS)
    newest_first = [(int(row[0]), row[3], row[4]) for row in seen["rows"]]
    assert newest_first == [(step, event, worker) for step, event, worker, *_ in reversed(EVENTS)]
    left = seen["rows"][-3]
    assert left[1] == "many" and left[5].split() == ["node2", "10.0.0.1:5"] and left[6:] == ["12", "the connection ended"]
    assert left[2].startswith("2023-11-1"), left
    assert seen["rows"][-1][6] == "–"


def test_marks_are_at_the_iterations_of_the_events(seen):
    assert seen["marked"] == ["Workers that are ready"]
    assert [(at, bad) for at, bad, _ in seen["marks"]] == [(0, False), (20, True), (40, True), (50, False), (55, True)]
    assert seen["marks"][1][2] == "w1 on node2: left, the connection ended\nw2 on node2: joined"
    assert seen["marksWithoutTheRun"] == 0


def test_text_of_a_worker_stays_text(seen):
    assert not seen["injected"]


@pytest.mark.parametrize("width", [420, 1400])
def test_the_page_can_be_read_at_any_width(page, width):
    seen = look(page, LAYOUT, width, dark=True)
    assert seen["content"] <= seen["width"], "the page scrolls to the side"
    assert seen["unlabelled"] == [] and seen["outside"] == [] and seen["faint"] == []
