"""The HTML report of artificial runs, tested in a browser: no error, charts that react, text that remains text, and a
page that can be read at several widths, in light and dark."""

import html.parser
import json
import math
import re
import shutil
import subprocess

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# The page in a frame of the wanted width, because a window has a smallest one, and what is told by its script.
FRAME = """<!DOCTYPE html><html style="color-scheme: light dark"><body style="margin: 0">
<script>addEventListener("message", (event) => { document.body.append(event.data); });</script>
<iframe src="watched.html" style="border: 0" width="WIDTH" height="1000"></iframe></body></html>"""

# Acts like a reader and tells its observations.
READER = """
const seen = {};
const all = (selector) => [...document.querySelectorAll(selector)];
const paths = () => all("#learning path.line").map((p) => p.getAttribute("d")).join("|");
const input = (node, value) => { node.value = value; node.dispatchEvent(new Event("input")); };
seen.title = document.title;
seen.charts = all(".card").filter((c) => c.querySelector("svg")).map((c) => c.querySelector("h3").firstChild.textContent);
seen.broken = all("svg *").filter((n) => [...n.attributes].some((a) => /NaN|undefined|Infinity/.test(a.value))).length;
seen.overview = all("#overview tbody tr").map((r) => [...r.cells].map((c) => c.textContent));
seen.subtitle = document.getElementById("subtitle").textContent;
seen.findings = document.getElementById("findings").innerText;
seen.heads = all("#sample-table th").map((h) => h.textContent);
seen.columns = Object.fromEntries(all("#sample-table th").map((h) => [h.textContent, h.getBoundingClientRect().width]));
const labels = (title, axis) => {
  const card = all(".card").find((c) => c.querySelector("h3").firstChild.textContent === title);
  return [...card.querySelectorAll(`.${axis}-label`)].map((t) => t.textContent);
};
seen.gradients = labels("Gradient norm", "y");
// The lowest point of the learning rate, as a share of the plot's height above its axis.
const rate = all(".card").find((c) => c.querySelector("h3").textContent === "Learning rate");
const bottom = Number(rate.querySelector("line.axis").getAttribute("y1"));
seen.lowestRate = Math.min(...[...rate.querySelectorAll("path.line")].flatMap((p) => p.getAttribute("d").match(/[ ][0-9.]+/g).map((y) => (bottom - y) / bottom)));
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
const firstRow = all("#sample-table tr.row").find((r) => r.cells[0].textContent === "60");  // those of an evaluation say so
seen.firstRow = [...firstRow.cells].map((c) => c.textContent);
const fold = firstRow.querySelector("button");
seen.folded = fold.getAttribute("aria-expanded");
fold.focus();
fold.click();
seen.unfolded = [fold.getAttribute("aria-expanded"), document.activeElement === fold];
seen.detail = document.querySelector("td.detail").textContent;
seen.samples = all("td.detail details.sample summary .verdict").map((v) => v.textContent);
fold.click();
seen.detailsLeft = all("td.detail").length;
const search = document.querySelector("input[type=search]");
input(search, "NEEDLE");
seen.foundRows = all("#sample-table tr.row").length;
document.querySelector("#sample-table tr.row").click();
seen.found = all("td.detail details.sample pre").map((p) => p.textContent);
seen.marked = all("td.detail mark").map((m) => m.textContent);
seen.others = document.querySelector("td.detail p.muted").textContent;
input(search, "");
const choose = (index, value) => { const select = all(".filters select")[index]; select.value = value; select.dispatchEvent(new Event("change")); };
choose(1, "failed");
seen.failed = document.getElementById("sample-count").textContent;
choose(1, "");
choose(2, "held-out");
seen.heldOut = [document.getElementById("sample-count").textContent, document.querySelector("#sample-table tr.row").cells[0].innerText];
seen.injected = document.querySelector("main img") !== null || window.wasInjected === true;
const group = document.querySelector("#others details");
group.open = true;
seen.settings = document.getElementById("settings").textContent;
setTimeout(() => {
  seen.otherCharts = group.querySelectorAll("svg").length;
  tell(seen);
}, 50);
"""

# Unfolds everything and measures what a reader of a narrow or dark page sees.
LAYOUT = """
const all = (selector) => [...document.querySelectorAll(selector)];
all("#sample-table tr.row")[0].click();
all("details").forEach((d) => { d.open = true; });
const luminance = (c) => c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const rgba = (text) => { const c = text.match(/[0-9.]+/g).map(Number); return c.length === 3 ? [...c, 1] : c; };
const backgroundOf = (node) => {
  for (let n = node; n instanceof Element; n = n.parentElement) {
    const c = rgba(getComputedStyle(n).backgroundColor);
    if (c[3] === 1) return c;
  }
  return [255, 255, 255, 1];
};
const contrast = (node) => {
  const style = getComputedStyle(node);
  const [a, b] = [luminance(rgba(node instanceof SVGElement ? style.fill : style.color)), luminance(backgroundOf(node))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const hasText = (node) => [...node.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
const shown = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility === "visible";
setTimeout(() => {
  const texts = all("body *").filter((n) => !["SCRIPT", "STYLE", "OPTION", "NOSCRIPT"].includes(n.tagName) && hasText(n) && shown(n));
  const root = document.documentElement, seen = {width: root.clientWidth, content: root.scrollWidth};
  seen.dark = luminance(rgba(getComputedStyle(document.body).backgroundColor)) < 0.2;
  seen.texts = texts.length;
  seen.faint = texts.filter((n) => contrast(n) < 3).map((n) => n.tagName + " " + n.textContent.slice(0, 40));
  const plots = all(".card svg").filter((svg) => svg.closest(".plot") && !svg.parentElement.closest("svg"));
  seen.plots = plots.length;
  const distinct = (svg, axis) => new Set([...svg.querySelectorAll(`.${axis}-label`)].map((t) => t.textContent)).size;
  seen.unlabelled = plots.filter((svg) => distinct(svg, "x") < 2 || distinct(svg, "y") < 2).map((svg) => svg.getAttribute("aria-label"));
  const outside = (t) => { const a = t.getBoundingClientRect(), b = t.closest(".card").getBoundingClientRect(); return a.left < b.left || a.right > b.right; };
  seen.outside = all(".card svg text").filter(outside).map((t) => t.textContent);
  seen.prompt = document.querySelector("#sample-table th.prompt").getBoundingClientRect().width;
  const table = document.querySelector("#sample-table"), box = table.parentElement;
  seen.tableFits = table.scrollWidth <= box.clientWidth;
  tell(seen);
}, 300);
"""

HOSTILE = "</script><script>window.wasInjected = true</script><img src=x onerror='window.wasInjected = true'>"


def sample(step, i, response=None):
    """Sample i of an iteration; four of them are of the same prompt."""
    return {"step": step, "prompt_id": f"p{i // 4}", "prompt": f"user: {step}+{i // 4}=", "response": response or (HOSTILE if i % 4 else f"{step}"),
            "score": 1.0 - (i % 4 > 0), "correct": i % 4 == 0, "components": {"math": 1.0}, "answer": str(step), "ground_truth": str(step),
            "finish": "stop", "tokens": 3 + i, "error": ""}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_run(folder, shift, damaged=False):
    """A run with an evaluation before training, and without an optimizer step in iterations 9 and 10."""
    (folder / "samples").mkdir(parents=True)
    lines = [json.dumps({"step": 0, "val/accuracy": 0.0, "val/accuracy_low": 0.0, "val/accuracy_high": 0.1})]
    for step in range(1, 61):
        reward = 1 / (1 + math.exp(-(step - 30 - shift) / 6))
        line = {"step": step, "critic/rewards/mean": reward, "critic/accuracy": reward, "response_length/mean": 40 + 60 * reward,
                "training/rollout_probs_diff_mean": 1e-7, "training/rollout_probs_diff_max": 0.0 if step == 7 else 3e-6,
                "timing_s/gen": 2.0, "timing_s/update_actor": 1.0, "timing_s/step": 3.1, "perf/throughput": 900.0,
                "perf/total_num_tokens": 1000 * step, "rollout/generated_tokens": 1000 + 20 * step, "custom/one": step, "custom/two": -step}
        if step not in (9, 10):
            line |= {"actor/entropy": "NaN" if step == 5 else 2 - reward, "actor/grad_norm": 2.1 + 3.6 * reward, "actor/lr": 1e-3}
        if step % 10 == 0:
            line |= {"val/accuracy": reward, "val/accuracy_low": max(0, reward - 0.4), "val/accuracy_high": min(1, reward + 0.4)}
        if step == 7 and damaged:
            line["response_length/clip_ratio"] = 0.72
        lines.append(json.dumps(line))
        samples = [sample(step, i) for i in range(8)]
        if step == 60:
            samples.append({**sample(step, 4, "a needle here"), "score": None, "correct": False, "error": "timeout"})
            write_lines(folder / "samples/held_out_000060.jsonl", [{**sample(step, 4 * i), "part": "held-out"} for i in range(3)])
        write_lines(folder / f"samples/samples_{step:06d}.jsonl", samples)
    text = "\n".join(lines) + "\n" + ('{"step": 61, "critic/re' if damaged else "")
    (folder / "metrics.jsonl").write_text(text)
    (folder / "config.toml").write_text(f"[optim]\nlr = {0.001 * (1 + shift)}\n[algorithm]\nname = \"mirror\"\n"
                                        f"[data]\ntrain_files = [\"/data/{'a_path_without_a_blank/' * 8}{shift}.jsonl\"]\n")
    if damaged:
        warnings = [(0, "optim.min_lr_ratio has no effect"), (3, "4 groups with variance were missing"),
                    (7, "72 % of the answers were cut by data.max_response_length; raise it"), (23, "2 groups with variance were missing"),
                    (30, f"cannot write {folder}/{'global_step_30' * 8}: No space left on device")]
        write_lines(folder / "warnings.jsonl", [{"step": step, "time": 1.5, "text": text} for step, text in warnings])


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


def look(page, script, width=1400, dark=False):
    """What the script, run in a browser with the page, tells."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, f"none of {BROWSERS} is installed; tools/setup --tests installs Chromium on Debian"
    tell = 'const tell = (seen) => parent.postMessage("SEEN" + JSON.stringify(seen) + "END", "*");'
    page.with_name("watched.html").write_text(page.read_text().replace("</body>", f"<script>{tell}{script}</script></body>"))
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)))
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1500,1000",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--user-data-dir={page.parent / 'profile'}",
         "--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=240)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    match = re.search(r"SEEN(\{.*?\})END", done.stdout, re.S)
    assert match, f"the page's script did not finish:\n{done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1]))


@pytest.fixture(scope="module")
def seen(page):
    return look(page, READER)


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
    assert early[1] == "60", "step 0 is the evaluation before training and not an iteration"
    assert seen["subtitle"].startswith("2 runs, 120 iterations")
    assert early[3].startswith("99.3 %") and early[4] == "99.3 %at 60"
    assert early[6] == "3e-6"
    assert early[9] == "3 min 6 s"


def test_controls_change_the_charts(seen):
    assert seen["smoothingChanges"] and seen["smoothingBack"]
    assert seen["axes"] == ["step", "tokens", "hours"] and seen["axisChanges"]
    assert seen["lines"] == 8 and seen["linesWithoutOneRun"] == 4
    assert "iteration" in seen["tooltip"] and "early" in seen["tooltip"] and "late" in seen["tooltip"]


def test_samples_are_grouped_by_prompt_searched_and_opened(seen):
    assert seen["rows"] == 50 and seen["count"].startswith("968 samples in 246 rows")
    assert seen["firstRow"] == ["60", "early", "1 of 4 right", "0.25", "4.5", "60", "user: 60+0="]
    assert seen["folded"] == "false" and seen["unfolded"] == ["true", True] and seen["detailsLeft"] == 0
    assert "ground truth60" in seen["detail"]
    assert seen["samples"] == ["✓ right", "✗ wrong", "✗ wrong", "✗ wrong"]
    assert seen["foundRows"] == 2 and seen["found"] == ["a needle here"] and seen["marked"] == ["needle"]
    assert seen["others"] == "4 more of this prompt do not match the filters"
    assert seen["failed"].startswith("2 samples in 2 rows")
    assert seen["heldOut"][0].startswith("6 samples in 6 rows") and "held-out" in seen["heldOut"][1]


def test_the_widest_column_of_the_samples_is_the_prompt(seen):
    assert seen["heads"] == ["iteration", "run", "verdict", "score", "tokens", "ground truth", "prompt"]
    assert max(seen["columns"], key=seen["columns"].get) == "prompt"


def test_a_step_that_was_not_taken_is_no_zero(seen):
    assert seen["lowestRate"] > 0.5


def test_a_short_log_axis_has_labels(seen):
    assert seen["gradients"] == ["2", "5"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [420, 800, 1400])
def test_the_page_can_be_read_at_any_width(page, width, dark):
    seen = look(page, LAYOUT, width, dark)
    assert seen["width"] == width and seen["dark"] == dark
    assert seen["content"] <= seen["width"], "the page scrolls to the side"
    assert seen["plots"] >= 14 and seen["unlabelled"] == [] and seen["outside"] == []
    assert seen["texts"] > 100 and seen["faint"] == []
    assert seen["prompt"] > 120 and seen["tableFits"]


def test_findings_are_on_top_and_bands_stay_in_their_plots(seen):
    for text in ("late", "more than 20 % of the answers were cut at the maximum length, 72 % in iteration 7 in 1 of 1 iterations",
                 "optim.min_lr_ratio has no effect at the start", "2 groups with variance were missing 2 times, in iterations 3 to 23",
                 "No space left on device in iteration 30"):
        assert text in seen["findings"]
    assert seen["findings"].count("72 %") == 1, "the metric and the warning say the same"
    assert "early" not in seen["findings"]
    assert seen["bands"] == [True, True]


def test_text_of_a_model_stays_text(seen):
    assert not seen["injected"]


def test_damage_is_noted_and_settings_compared(seen):
    assert "metrics.jsonl: line 62 is damaged" in seen["notes"]
    assert "optim.lr0.0010.009" in seen["settings"]


def write_long_run(folder):
    """100,001 steps; the best of the evaluations is at step 50,010."""
    folder.mkdir()
    values = {step: 0.9 if step == 50010 else 0.3 for step in range(0, 100001, 10)}
    write_lines(folder / "metrics.jsonl", ({"step": step, "critic/rewards/mean": 0.5} | ({"val/accuracy": values[step]} if step in values else {})
                                           for step in range(100001)))


def test_the_best_evaluation_of_a_long_run_is_no_mean(longshot, tmp_path):
    write_long_run(tmp_path / "long")
    output = tmp_path / "report.html"
    longshot("report", tmp_path / "long", "--output", output)
    cells = look(output, "tell({cells: [...document.querySelectorAll('#overview td')].map((cell) => cell.textContent)});")["cells"]
    assert "90.0 %at 50010" in cells and "30.0 %from 30.0 %" in cells


def test_few_samples_of_many_runs(longshot, tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, 0)
    longshot("report", tmp_path / "a", tmp_path / "b", "--max-samples", 1, "--output", tmp_path / "r.html")
    data = re.search(r'type="application/json">(.*?)</script>', (tmp_path / "r.html").read_text(), re.S)[1]
    assert len(json.loads(data)["samples"]) == 1


def test_a_folder_without_a_run_is_an_error(longshot, tmp_path):
    done = longshot("report", tmp_path, check=False)
    assert done.returncode == 2 and "no metrics.jsonl" in done.stderr
