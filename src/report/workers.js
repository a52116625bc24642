// What the workers of a run on many machines did. A run in one process has no such section.

const isCluster = () => metricNames.includes("rollout/reissued") || data.runs.some((run) => run.events.length > 0);
const isLoss = (event) => ["left", "turned out", "silent"].includes(event.event);

const sentence = ({event, worker, host, cause}) => `${worker} on ${host}: ${event}` + (cause ? `, ${cause}` : "");

// A line at the iteration of each event; that of an iteration that has not ended has no place yet.
function eventMarks() {
  return data.runs.flatMap((run, r) => {
    if (view.hidden.has(r)) return [];
    const xs = xAxes[view.xAxis].of(run) || run.steps;
    return run.events.map((event) => ({x: xs[run.steps.findIndex((step) => step >= event.step)], text: sentence(event), bad: isLoss(event)}))
      .filter((mark) => mark.x !== undefined && mark.x !== null);
  });
}

function buildWorkerCharts(grid) {
  lineChart(grid, "Workers that are ready", ["rollout/workers"], {zero: true, exact: true, marks: eventMarks});
  lineChart(grid, "Speed of all workers", ["rollout/tokens_per_second"], {unit: "tokens/s", zero: true});
  const hosts = metricNames.filter((n) => n.startsWith("rollout/host_tokens/"));
  stackChart(grid, {title: "Where the tokens come from", unit: "tokens per iteration", metric: "rollout/host_tokens/*"}, hosts, "rollout/host_tokens/");
  lineChart(grid, "Samples given to a further worker", ["rollout/reissued"], {zero: true, exact: true});
  lineChart(grid, "Tokens that two workers generated", ["rollout/repeated_tokens", "rollout/differing_tokens"], {zero: true, exact: true});
  lineChart(grid, "Groups in the replay buffer", ["replay/groups", "replay/waiting"], {zero: true, exact: true});
  lineChart(grid, "Staleness of trained samples", ["replay/staleness/mean", "replay/staleness/max"], {unit: "versions", zero: true});
  lineChart(grid, "Groups dropped as too old", ["replay/dropped_stale"], {zero: true, exact: true});
  lineChart(grid, "Trainer idle", ["perf/trainer_idle"], {percent: true, zero: true});
  lineChart(grid, "Time to publish weights", ["timing_s/update_weights"], {unit: "s", zero: true});
  lineChart(grid, "Longest load of weights by a worker", ["rollout/load_seconds_max"], {unit: "s", zero: true});
  lineChart(grid, "Loads of weights by workers", ["rollout/loads"], {zero: true, exact: true});
}

function eventRow({run, event}) {
  const when = event.time === null ? "–" : new Date(1000 * event.time).toLocaleString("sv");
  const cells = [element("td", {class: "number"}, String(event.step)), element("td", {class: "whole"}, when),
                 element("td", {class: isLoss(event) ? "bad whole" : "good whole"}, event.event), element("td", {}, event.worker), element("td", {}, event.host, element("small", {}, event.address)),
                 element("td", {class: "number"}, event.samples ? String(event.samples) : "–"), element("td", {class: "cause"}, event.cause)];
  if (data.runs.length > 1) cells.splice(1, 0, element("td", {class: "run whole"}, element("i", {style: `background:${colorOf(run)}`}), data.runs[run].name));
  return element("tr", {}, ...cells);
}

// The newest first. Texts come from workers, and enter as text nodes only.
function buildEventTable() {
  const events = data.runs.flatMap((run, r) => run.events.map((event) => ({run: r, event}))).sort((a, b) => b.event.time - a.event.time);
  const heads = ["iteration", ...(data.runs.length > 1 ? ["run"] : []), "time", "event", "worker", "host", "samples", "cause"];
  byId("events").hidden = events.length === 0;
  byId("events").append(element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", {class: h === "iteration" || h === "samples" ? "number" : null}, h)))),
    element("tbody", {}, ...events.map(eventRow))));
}

function buildWorkers() {
  byId("workers").hidden = !isCluster();
  if (!isCluster()) return;
  buildWorkerCharts(byId("workers").querySelector(".grid"));
  buildEventTable();
}
