"""The HTML report of artificial runs, tested in a browser: no error, charts that react, text that remains text."""

import html.parser
import json
import math
import pathlib
import re
import shutil
import subprocess

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Acts like a reader and writes its observations into the page.
READER = """
const seen = {};
const all = (selector) => [...document.querySelectorAll(selector)];
const paths = () => all("#learning path.line").map((p) => p.getAttribute("d")).join("|");
const input = (node, value) => { node.value = value; node.dispatchEvent(new Event("input")); };
seen.title = document.title;
seen.charts = all(".card").filter((c) => c.querySelector("svg")).map((c) => c.querySelector("h3").firstChild.textContent);
seen.broken = all("svg *").filter((n) => [...n.attributes].some((a) => /NaN|undefined|Infinity/.test(a.value))).length;
seen.overview = all("#overview tbody tr").map((r) => [...r.cells].map((c) => c.textContent));
seen.findings = document.getElementById("findings").innerText;
seen.heads = all("#sample-table th").map((h) => h.textContent);
// The band of the held-out accuracy reaches to 100 % in the data, and stays in its plot.
const inside = (node) => {
  const card = node.closest(".plot").getBoundingClientRect(), box = node.getBoundingClientRect();
  return box.top >= card.top - 1 && box.bottom <= card.bottom + 1;
};
seen.bands = all("path.band").map(inside);
seen.notes = document.getElementById("notes").textContent;
const before = paths();
input(document.getElementById("smoothing"), 0.9);
seen.smoothingChanges = paths() !== before;
input(document.getElementById("smoothing"), 0);
seen.smoothingBack = paths() === before;
seen.lines = all("#learning path.line").length;
document.querySelector(".chip").click();
seen.linesWithoutOneRun = all("#learning path.line").length;
document.querySelector(".chip").click();
const svg = document.querySelector("#learning svg"), box = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 50}));
seen.tooltip = document.querySelector("#learning .tooltip").innerText;
const axis = document.getElementById("x-axis");
seen.axes = [...axis.options].map((o) => o.value);
axis.value = "tokens";
axis.dispatchEvent(new Event("change"));
seen.axisChanges = paths() !== before;
seen.rows = all("#sample-table tr.row").length;
seen.count = document.getElementById("sample-count").textContent;
document.querySelector("#sample-table tr.row").click();
seen.detail = document.querySelector("td.detail").textContent;
const search = document.querySelector("input[type=search]");
input(search, "NEEDLE");
seen.found = all("#sample-table tr.row").map((r) => r.cells[r.cells.length - 1].textContent);
input(search, "");
const verdict = all(".filters select")[1];
verdict.value = "failed";
verdict.dispatchEvent(new Event("change"));
seen.failed = document.getElementById("sample-count").textContent;
seen.injected = document.querySelector("main img") !== null || window.wasInjected === true;
const group = document.querySelector("#others details");
group.open = true;
seen.settings = document.getElementById("settings").textContent;
setTimeout(() => {
  seen.otherCharts = group.querySelectorAll("svg").length;
  document.body.append(element("pre", {id: "seen"}, "SEEN" + JSON.stringify(seen) + "END"));
}, 50);
"""

HOSTILE = "</script><script>window.wasInjected = true</script><img src=x onerror='window.wasInjected = true'>"


def write_run(folder, shift, damaged=False):
    (folder / "samples").mkdir(parents=True)
    lines = []
    for step in range(1, 61):
        reward = 1 / (1 + math.exp(-(step - 30 - shift) / 6))
        line = {"step": step, "critic/rewards/mean": reward, "critic/accuracy": reward, "response_length/mean": 40 + 60 * reward,
                "actor/entropy": "NaN" if step == 5 else 2 - reward, "actor/grad_norm": 0.3 + reward, "actor/lr": 1e-3,
                "training/rollout_probs_diff_mean": 1e-7, "training/rollout_probs_diff_max": 0.0 if step == 7 else 3e-6,
                "timing_s/gen": 2.0, "timing_s/update_actor": 1.0, "timing_s/step": 3.1, "perf/throughput": 900.0,
                "perf/total_num_tokens": 1000 * step, "rollout/generated_tokens": 1000 + 20 * step, "custom/one": step, "custom/two": -step}
        if step % 10 == 0:
            line |= {"val/accuracy": reward, "val/accuracy_low": max(0, reward - 0.4), "val/accuracy_high": min(1, reward + 0.4)}
        if step == 7 and damaged:
            line["response_length/clip_ratio"] = 0.72
        lines.append(json.dumps(line))
        samples = [{"step": step, "prompt_id": f"p{i}", "prompt": f"user: {step}+{i}=", "response": HOSTILE if i else f"{step + i}",
                    "score": 1.0 - i, "correct": i == 0, "components": {"math": 1.0}, "answer": str(step), "ground_truth": str(step),
                    "finish": "stop", "tokens": 3, "error": ""} for i in range(2)]
        if step == 60:
            samples.append({**samples[0], "response": "a needle here", "score": None, "correct": False, "error": "timeout"})
        (folder / f"samples/samples_{step:06d}.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
    text = "\n".join(lines) + "\n" + ('{"step": 61, "critic/re' if damaged else "")
    (folder / "metrics.jsonl").write_text(text)
    (folder / "config.toml").write_text(f"[optim]\nlr = {0.001 * (1 + shift)}\n[algorithm]\nname = \"mirror\"\n")


@pytest.fixture(scope="module")
def page(tmp_path_factory, longshot):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "early", 0)
    write_run(folder / "late", 8, damaged=True)
    output = folder / "report.html"
    done = longshot("report", folder / "early", folder / "late", "--output", output, "--title", "early & <late>")
    assert "2 runs" in done.stdout
    return output


class Loads(html.parser.HTMLParser):
    """Collects every address the page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in {"src", "href", "srcset", "data", "action"}]


def test_the_page_loads_nothing(page):
    loads = Loads()
    loads.feed(page.read_text())
    assert loads.found == ["data:,"]
    assert not re.search(r"@import|url\(", page.read_text())


@pytest.fixture(scope="module")
def seen(page):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, f"none of {BROWSERS} is installed; tools/setup --tests installs Chromium on Debian"
    watched = page.with_name("watched.html")
    watched.write_text(page.read_text().replace("</body>", f"<script>{READER}</script></body>"))
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000",
         f"--user-data-dir={page.parent / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom",
         watched.as_uri()], capture_output=True, text=True, timeout=240)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    match = re.search(r"SEEN(\{.*?\})END", done.stdout, re.S)
    assert match, f"the page's script did not finish:\n{done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1]))


def test_charts_are_drawn(seen):
    assert seen["title"] == "early & <late>"
    assert seen["charts"] == ["Reward", "Held-out accuracy", "Training accuracy", "Response length", "Accuracy against length",
                              "Rollout–trainer log-probability gap", "Entropy", "Gradient norm", "Learning rate", "Answers cut at the maximum length",
                              "Where the time goes", "Throughput"]
    assert seen["broken"] == 0
    assert seen["otherCharts"] == 2


def test_overview_has_the_figures(seen):
    early = seen["overview"][0]
    assert early[0].startswith("early")
    assert early[1] == "60to 60"
    assert early[3].startswith("99.3 %") and early[4] == "99.3 %at 60"
    assert early[6] == "3e-6"
    assert early[9] == "3 min 6 s"


def test_controls_change_the_charts(seen):
    assert seen["smoothingChanges"] and seen["smoothingBack"]
    assert seen["axes"] == ["step", "tokens", "hours"] and seen["axisChanges"]
    assert seen["lines"] == 8 and seen["linesWithoutOneRun"] == 4
    assert "iteration" in seen["tooltip"] and "early" in seen["tooltip"] and "late" in seen["tooltip"]


def test_samples_can_be_searched_and_opened(seen):
    assert seen["rows"] == 50 and seen["count"].startswith("242 samples")
    assert "ground truth60" in seen["detail"]
    assert seen["found"] == ["a needle here"] * 2
    assert seen["failed"].startswith("2 samples")


def test_findings_are_on_top_and_bands_stay_in_their_plots(seen):
    assert "late: more than 20 % of the answers were cut" in seen["findings"] and "72 %" in seen["findings"]
    assert "early" not in seen["findings"]
    assert seen["bands"] == [True, True]
    assert seen["heads"] == ["run", "iteration", "verdict", "score", "tokens", "finish", "answer", "ground truth",
                             "prompt", "response"]


def test_text_of_a_model_stays_text(seen):
    assert not seen["injected"]


def test_damage_is_noted_and_settings_compared(seen):
    assert "metrics.jsonl: line 61 is damaged" in seen["notes"]
    assert "optim.lr0.0010.009" in seen["settings"]


def test_a_folder_without_a_run_is_an_error(longshot, tmp_path):
    done = longshot("report", tmp_path, check=False)
    assert done.returncode == 2 and "no metrics.jsonl" in done.stderr
