"use strict";
// Builds the page from the embedded data: {runs: [{name, folder, iterations: [first, last] or null, steps, metrics:
// {name: [value or null]}, sums: {name: [value]}, config, summary, sample_count, events: [{step, time, event, worker,
// host, address, samples, cause}]}], samples: [...], notes: [...], findings: [{run, text, when}]}. A value is at the index of its step, which of a long run is the last of several; a sum
// is over all iterations up to there.

const data = JSON.parse(document.getElementById("data").textContent);
const xAxes = {
  step: {label: "iteration", of: (run) => run.steps},
  tokens: {label: "tokens", of: (run) => run.sums["rollout/generated_tokens"] || run.metrics["perf/total_num_tokens"]},
  hours: {label: "hours", of: (run) => run.sums["timing_s/step"]?.map((v) => v / 3600)},
};
const used = new Set();  // metrics that have a chart of their own

const byId = (id) => document.getElementById(id);
const colorOf = (run) => `var(--c${run % 8})`;

const numbers = (run, metric) => (run.metrics[metric] || []).filter((v) => v !== null);
const last = (list) => list[list.length - 1];
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : null;
}

// The mean over the last tenth: one iteration's figure is mostly noise.
function settled(list) {
  return list.length ? mean(list.slice(-Math.max(1, Math.round(list.length / 10)))) : null;
}

function seconds(value) {
  if (value === null) return "–";
  if (value < 60) return value.toFixed(1) + " s";
  if (value < 3600) return Math.floor(value / 60) + " min " + Math.round(value % 60) + " s";
  return Math.floor(value / 3600) + " h " + Math.round((value % 3600) / 60) + " min";
}

const metricNames = [...new Set(data.runs.flatMap((run) => Object.keys(run.metrics)))].sort();

// The overall accuracy first; that of each data source only where there are several.
const accuracyNames = metricNames.filter((n) => /^val\/(.*\/)?accuracy$/.test(n));
const sourceNames = metricNames.filter((n) => n.startsWith("val-core/"));
if (sourceNames.length > 1 || accuracyNames.length === 0) accuracyNames.push(...sourceNames);

// One chart of several metrics: each run keeps its colour, a run's further metrics are dashed.
function lineChart(grid, title, metrics, options = {}) {
  const names = metrics.filter((m) => data.runs.some((run) => numbers(run, m).length));
  if (names.length === 0) return;
  names.forEach((m) => used.add(m));
  const namesOf = (run) => names.filter((m) => numbers(run, m).length);
  const several = data.runs.some((run) => namesOf(run).length > 1);
  const series = () => data.runs.flatMap((run, r) => namesOf(run).map((m, i) => ({
    name: several ? `${run.name} · ${shortName(m, names)}` : run.name, run: r, color: colorOf(r), dashed: i > 0,
    x: xAxes[view.xAxis].of(run) || run.steps, y: run.metrics[m], low: run.metrics[m + "_low"], high: run.metrics[m + "_high"]})));
  names.forEach((m) => { used.add(m + "_low"); used.add(m + "_high"); });
  const head = several && names.length === 2 ? element("div", {class: "legend"}, ...names.map((m, i) =>
    element("span", {}, element("i", {class: i ? "dash" : "solid"}), shortName(m, names)))) : null;
  addChart(grid, {title, metric: names.join(", "), series, head, ...options});
}

// The part of a metric's name in which it differs from the others.
function shortName(metric, names) {
  let prefix = 0;
  while (names.every((n) => n[prefix] === names[0][prefix]) && prefix < names[0].length) ++prefix;
  const cut = Math.max(metric.lastIndexOf("/", prefix), metric.lastIndexOf("_", prefix)) + 1;
  return metric.slice(cut) || metric;
}

function scatterChart(grid, title, xMetric, yMetric) {
  if (!data.runs.some((run) => numbers(run, xMetric).length && numbers(run, yMetric).length)) return;
  const series = () => data.runs.map((run, r) => ({run: r, name: run.name, color: colorOf(r),
    x: run.metrics[xMetric] || [], y: run.metrics[yMetric] || []}));
  addChart(grid, {title, metric: `${yMetric} over ${xMetric}; later points are darker`, series, points: true, percent: true, xLabel: "tokens per response"});
}

// Metrics that make up a whole, one run at a time. `prefix` is what their names have in common.
function stackChart(grid, options, names, prefix) {
  if (names.length === 0) return;
  names.forEach((n) => used.add(n));
  const candidates = data.runs.map((run, r) => r).filter((r) => names.some((n) => data.runs[r].metrics[n]));
  const choice = element("select", {"aria-label": "Run", onchange: () => chart.draw()},
                         ...candidates.map((r) => element("option", {value: r}, data.runs[r].name)));
  const nameOf = (n) => n.slice(prefix.length), color = (i) => `var(--c${i % 8})`;
  const head = element("div", {class: "legend"}, ...names.map((n, i) => element("span", {}, element("i", {style: `background:${color(i)}`}), nameOf(n))));
  if (candidates.length > 1) head.prepend(choice);
  const stack = () => {
    const run = data.runs[Number(choice.value)];
    return {x: xAxes[view.xAxis].of(run) || run.steps, parts: names.map((n, i) => ({name: nameOf(n), color: color(i),
      y: smooth((run.metrics[n] || run.steps.map(() => 0)).map((v) => v || 0), view.smoothing)}))};
  };
  const chart = {...options, head, stack};
  addChart(grid, chart);
}

function timeChart(grid) {
  const names = metricNames.filter((n) => n.startsWith("timing_s/") && n !== "timing_s/step");
  if (names.length > 0) used.add("timing_s/step");
  stackChart(grid, {title: "Where the time goes", unit: "s per iteration", metric: "timing_s/*"}, names, "timing_s/");
}

function buildCharts() {
  const grid = (id) => byId(id).querySelector(".grid");
  lineChart(grid("learning"), "Reward", ["critic/rewards/mean"]);
  lineChart(grid("learning"), "Held-out accuracy", accuracyNames.slice(0, 6), {percent: true, zero: true, exact: true});
  lineChart(grid("learning"), "Training accuracy", ["critic/accuracy"], {percent: true, zero: true});
  lineChart(grid("learning"), "Response length", ["response_length/mean"], {unit: "tokens", zero: true});
  const heldOut = metricNames.includes("val/response_length") && accuracyNames.length > 0;
  if (heldOut) scatterChart(grid("learning"), "Held-out accuracy against length", "val/response_length", accuracyNames[0]);
  else scatterChart(grid("learning"), "Accuracy against length", "response_length/mean", "critic/accuracy");
  lineChart(grid("learning"), "Loss", ["train/loss", "val/loss"]);
  lineChart(grid("learning"), "Reward margin of a pair", ["rewards/margins", "val/rewards/margins"], {zero: true});
  lineChart(grid("learning"), "Rewards of the responses", ["rewards/chosen", "rewards/rejected"]);
  lineChart(grid("learning"), "Pairs in the right order", ["rewards/accuracies", "val/rewards/accuracies"], {percent: true, zero: true});
  lineChart(grid("health"), "Rollout–trainer log-probability gap", ["training/rollout_probs_diff_mean", "training/rollout_probs_diff_max"], {log: true});
  lineChart(grid("health"), "Entropy", ["actor/entropy"], {unit: "nats per token", zero: true});
  lineChart(grid("health"), "Gradient norm", ["actor/grad_norm", "train/grad_norm"], {log: true});
  lineChart(grid("health"), "Learning rate", ["actor/lr", "train/lr"], {zero: true, exact: true});
  lineChart(grid("health"), "Answers cut at the maximum length", ["response_length/clip_ratio"], {percent: true, zero: true});
  lineChart(grid("health"), "Groups without variance", ["critic/groups_without_variance", "train/zero_variance_share"], {percent: true, zero: true});
  timeChart(grid("speed"));
  lineChart(grid("speed"), "Throughput", ["perf/throughput"], {unit: "tokens/s", zero: true});
  lineChart(grid("speed"), "Peak memory", ["perf/max_memory_gb"], {unit: "GiB", zero: true, exact: true});
  for (const id of ["learning", "health", "speed"]) byId(id).hidden = grid(id).children.length === 0;
}

function buildOtherCharts() {
  const groups = new Map();
  for (const name of metricNames.filter((n) => !used.has(n))) {
    const key = name.split("/")[0];
    groups.set(key, [...(groups.get(key) || []), name]);
  }
  for (const [key, names] of groups) {
    const grid = element("div", {class: "grid"});
    const details = element("details", {}, element("summary", {}, key, element("small", {}, String(names.length))), grid);
    details.addEventListener("toggle", () => {
      if (details.open && grid.children.length === 0) names.forEach((n) => lineChart(grid, n.slice(key.length + 1) || n, [n]));
      redraw();
    });
    byId("others").append(details);
  }
  byId("others").hidden = groups.size === 0;
}

function change(list, format) {
  if (list.length === 0) return ["–"];
  return [format(settled(list)), element("small", {}, "from " + format(list[0]))];
}

const percent = (v) => (v === null || v === undefined ? "–" : (100 * v).toFixed(1) + " %");
// {first, last, best, best_step} of the run's first accuracy, or undefined.
const accuracyOf = (run) => run.evaluations[accuracyNames.find((n) => n in run.evaluations)];

function bestAccuracy(run) {
  const found = accuracyOf(run);
  return found ? [percent(found.best), element("small", {}, `at ${found.best_step}`)] : ["–"];
}

function lastAccuracy(run) {
  const found = accuracyOf(run);
  return found ? [percent(found.last), element("small", {}, "from " + percent(found.first))] : ["–"];
}

// Step 0 is the evaluation before training and not an iteration.
const iterationCount = (run) => (run.iterations ? run.iterations[1] - run.iterations[0] + 1 : 0);

// Heading -> the cell's content for a run; columns that no run fills are left out.
const columns = {
  iterations: (run) => [iterationCount(run).toLocaleString("en"), ...(run.iterations && run.iterations[0] > 1 ? [element("small", {}, `${run.iterations[0]} to ${run.iterations[1]}`)] : [])],
  reward: (run) => change(numbers(run, "critic/rewards/mean"), formatNumber),
  loss: (run) => change(numbers(run, "train/loss"), formatNumber),
  "held-out accuracy": lastAccuracy,
  best: bestAccuracy,
  "response length": (run) => change(numbers(run, "response_length/mean"), formatNumber),
  "largest gap": (run) => [formatNumber(numbers(run, "training/rollout_probs_diff_max").reduce((a, b) => Math.max(a ?? b, b), null))],
  "tokens/s": (run) => [formatNumber(median(numbers(run, "perf/throughput")))],
  tokens: (run) => [formatNumber(last(numbers(run, "perf/total_num_tokens")) ?? last(run.sums["rollout/generated_tokens"] || []))],
  time: (run) => [seconds(last(run.sums["timing_s/step"] || []) ?? null)],
};

// What the metrics show and the log warned of, above all charts. Text of a reward enters as text nodes only.
function buildFindings() {
  byId("findings").hidden = data.findings.length === 0;
  const item = ({text, when}) => element("li", {}, text, ...(when ? [" ", element("small", {}, when)] : []));
  data.runs.forEach((run, r) => {
    const items = data.findings.filter((f) => f.run === r).map(item);
    if (items.length === 0) return;
    if (data.runs.length > 1) byId("findings").append(element("h3", {}, element("i", {style: `background:${colorOf(r)}`}), run.name));
    byId("findings").append(element("ul", {}, ...items));
  });
}

function buildOverview() {
  const heads = Object.keys(columns).filter((h) => data.runs.some((run) => columns[h](run)[0] !== "–"));
  const row = (run, r) => element("tr", {}, element("td", {}, element("i", {style: `background:${colorOf(r)}`}), run.name, element("small", {}, run.folder)),
                                  ...heads.map((h) => element("td", {class: "number"}, ...columns[h](run))));
  byId("overview").append(
    element("thead", {}, element("tr", {}, element("th", {}, "run"), ...heads.map((h) => element("th", {class: "number"}, h)))),
    element("tbody", {}, ...data.runs.map(row)));
  const iterations = data.runs.reduce((sum, run) => sum + iterationCount(run), 0);
  byId("subtitle").textContent = `${data.runs.length} run${data.runs.length > 1 ? "s" : ""}, ${iterations.toLocaleString("en")} iterations, ` +
    `${metricNames.length} metrics. Reward, loss and length are means over the last tenth of a run.`;
  byId("notes").hidden = data.notes.length === 0;
  byId("notes").append(...data.notes.map((note) => element("p", {}, note)));
}

function buildControls() {
  const chips = data.runs.map((run, r) => element("button", {class: "chip", "aria-pressed": "true", onclick: (event) => {
    if (!view.hidden.delete(r)) view.hidden.add(r);
    event.currentTarget.setAttribute("aria-pressed", String(!view.hidden.has(r)));
    redraw();
  }}, element("i", {style: `background:${colorOf(r)}`}), run.name));
  byId("runs").append(...chips);
  byId("smoothing").addEventListener("input", (event) => {
    view.smoothing = Number(event.target.value);
    byId("smoothing-value").textContent = view.smoothing ? view.smoothing.toFixed(2) : "0";
    redraw();
  });
  for (const key of ["tokens", "hours"]) {
    if (data.runs.every((run) => xAxes[key].of(run))) byId("x-axis").append(element("option", {value: key}, xAxes[key].label));
  }
  byId("x-axis").addEventListener("change", (event) => { view.xAxis = event.target.value; redraw(); });
}

// TOML as written by the program, one `key = value` a line below [section] lines -> Map of dotted keys.
function parseSettings(text) {
  const values = new Map();
  let section = "";
  for (const line of text.split("\n")) {
    const head = line.match(/^\s*\[(.+)\]\s*$/), pair = line.match(/^\s*([\w.-]+)\s*=\s*(.*)$/);
    if (head) section = head[1] + ".";
    else if (pair) values.set(section + pair[1], pair[2]);
  }
  return values;
}

function buildSettings() {
  const withConfig = data.runs.filter((run) => run.config);
  const tables = withConfig.map((run) => parseSettings(run.config));
  const keys = [...new Set(tables.flatMap((t) => [...t.keys()]))].filter((k) => new Set(tables.map((t) => t.get(k))).size > 1).sort();
  if (withConfig.length > 1) {
    const rows = keys.map((k) => element("tr", {}, element("td", {}, k), ...tables.map((t) => element("td", {}, t.get(k) ?? "–"))));
    byId("settings").append(element("details", {open: ""}, element("summary", {}, "Where the runs differ", element("small", {}, String(keys.length))),
      element("div", {class: "scroll"}, element("table", {},
        element("thead", {}, element("tr", {}, element("th", {}, "key"), ...withConfig.map((run) => element("th", {}, run.name)))),
        element("tbody", {}, ...rows)))));
  }
  for (const run of withConfig) byId("settings").append(element("details", {}, element("summary", {}, run.name, element("small", {}, "config.toml")), element("pre", {}, run.config)));
  for (const run of data.runs.filter((r) => r.summary)) {
    byId("settings").append(element("details", {}, element("summary", {}, run.name, element("small", {}, "summary.json")), element("pre", {}, JSON.stringify(run.summary, null, 2))));
  }
  byId("settings").hidden = withConfig.length === 0 && !data.runs.some((r) => r.summary);
}

buildControls();
buildFindings();
buildOverview();
buildCharts();
buildWorkers();
buildOtherCharts();
buildSettings();
buildSamples();
redraw();
let resizing = 0;
addEventListener("resize", () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(() => { redraw(); fitDetails(); }); });
