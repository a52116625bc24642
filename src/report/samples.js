"use strict";
// The sample table: filters, a page of rows, each of the samples of a prompt in an iteration or evaluation, and these
// samples with their whole texts when the row is opened. Text from a model enters the page as text nodes only.

const PAGE = 50;
const VERDICTS = {
  correct: {label: "✓ right", class: "good", of: (s) => s.correct},
  wrong: {label: "✗ wrong", class: "bad", of: (s) => !s.correct && !s.error},
  failed: {label: "! no verdict", class: "warn", of: (s) => !s.correct && Boolean(s.error)},
};

const verdictOf = (sample) => Object.values(VERDICTS).find((v) => v.of(sample));

function option(value, label) {
  return element("option", {value}, label);
}

function sampleFilters(update) {
  const input = (attributes) => element("input", {...attributes, oninput: update});
  const steps = extent(data.samples.map((s) => s.step));
  return {
    run: element("select", {onchange: update}, option("", "all runs"), ...data.runs.map((run, r) => option(r, run.name))),
    verdict: element("select", {onchange: update}, option("", "all verdicts"), ...Object.entries(VERDICTS).map(([k, v]) => option(k, v.label.slice(2)))),
    from: input({type: "number", value: steps[0], "aria-label": "First iteration"}),
    to: input({type: "number", value: steps[1], "aria-label": "Last iteration"}),
    text: input({type: "search", placeholder: "search prompts and responses"}),
    part: element("select", {onchange: update}, option("", "training and held-out"), option("training", "training"), option("held-out", "held-out")),
    order: element("select", {onchange: update}, option("newest", "newest first"), option("oldest", "oldest first"), option("longest", "longest first"),
                   option("lowest", "lowest score first"), option("highest", "highest score first")),
  };
}

const ORDERS = {
  newest: (a, b) => b.step - a.step,
  oldest: (a, b) => a.step - b.step,
  longest: (a, b) => b.tokens - a.tokens,
  lowest: (a, b) => (a.score ?? Infinity) - (b.score ?? Infinity),
  highest: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
};

const keyOf = (s) => JSON.stringify([s.run, s.step, s.part, s.prompt_id || s.prompt]);

// Key -> its samples, in the order of the list.
function groupedByKey(samples) {
  const groups = new Map();
  for (const sample of samples) {
    const key = keyOf(sample);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(sample);
  }
  return groups;
}

function isChosen(filters) {
  const text = filters.text.value.toLowerCase(), verdict = VERDICTS[filters.verdict.value];
  const from = filters.from.value === "" ? -Infinity : Number(filters.from.value), to = filters.to.value === "" ? Infinity : Number(filters.to.value);
  return (s) => (filters.run.value === "" || s.run === Number(filters.run.value)) && (filters.part.value === "" || s.part === filters.part.value) &&
    (!verdict || verdict.of(s)) && s.step >= from && s.step <= to && (!text || (s.prompt + "\n" + s.response).toLowerCase().includes(text));
}

// The groups with a chosen sample, ordered by the first one: {all: the samples of the group, chosen: those to show}.
function chosenGroups(all, filters) {
  const chosen = groupedByKey(data.samples.filter(isChosen(filters)).sort(ORDERS[filters.order.value]));
  return [...chosen].map(([key, samples]) => ({all: all.get(key), chosen: samples}));
}

// The text with every occurrence of `word` marked.
function marked(text, word) {
  if (!word) return [text];
  const parts = [], lower = text.toLowerCase();
  let at = 0;
  for (let hit = lower.indexOf(word); hit >= 0; hit = lower.indexOf(word, at)) {
    parts.push(text.slice(at, hit), element("mark", {}, text.slice(hit, hit + word.length)));
    at = hit + word.length;
  }
  return [...parts, text.slice(at)];
}

const preview = (text) => text.slice(0, 200).replace(/\s+/g, " ");

function factList(facts) {
  const list = element("dl", {});
  for (const [name, value] of Object.entries(facts))
    if (value !== "" && value !== null && value !== undefined) list.append(element("dt", {}, name), element("dd", {}, String(value)));
  return list;
}

function sampleDetails(sample, word, open) {
  const verdict = verdictOf(sample);
  const components = Object.entries(sample.components || {}).map(([k, v]) => `${k} ${formatNumber(v)}`).join(", ");
  const head = [["verdict " + verdict.class, verdict.label], ["", sample.score === null ? "no score" : `score ${formatNumber(sample.score)}`],
                ["", sample.tokens === null ? "" : `${formatNumber(sample.tokens)} tokens`], ["", sample.finish],
                ["", sample.answer && `answer ${preview(sample.answer)}`], ["response", preview(sample.response)]];
  return element("details", {class: "sample", open}, element("summary", {}, ...head.filter(([, text]) => text).map(([name, text]) => element("span", {class: name}, text))),
    factList({"answer found": sample.answer, components, error: sample.error}), element("pre", {}, ...marked(sample.response, word)));
}

// A narrow page hides columns, and a cell across more columns than there are would make empty ones.
function fitDetails() {
  const columns = [...document.querySelectorAll("#sample-table th")].filter((head) => head.offsetParent !== null).length;
  for (const cell of document.querySelectorAll("#sample-table td.detail")) cell.colSpan = columns;
}

function detailRow(group, word) {
  const first = group.all[0], others = group.all.length - group.chosen.length;
  const facts = factList({run: data.runs[first.run].name, part: first.part, "prompt id": first.prompt_id, "ground truth": first.ground_truth});
  const left = others ? [element("p", {class: "muted"}, `${others} more of this prompt ${others > 1 ? "do" : "does"} not match the filters`)] : [];
  return element("tr", {}, element("td", {class: "detail"}, facts, element("h4", {}, "Prompt"), element("pre", {}, ...marked(first.prompt, word)),
    element("h4", {}, "Samples"), ...group.chosen.map((s) => sampleDetails(s, word, group.chosen.length === 1)), ...left));
}

// "3 of 8 right", or the verdict of the only sample.
function verdictCell(samples) {
  const right = samples.filter((s) => s.correct).length, failed = samples.filter(VERDICTS.failed.of).length;
  if (samples.length === 1) return element("td", {class: "verdict " + verdictOf(samples[0]).class}, verdictOf(samples[0]).label);
  return element("td", {class: "verdict " + (right === samples.length ? "good" : right === 0 ? "bad" : "")}, `${right} of ${samples.length} right`,
                 ...(failed ? [element("small", {class: "warn"}, `${failed} without verdict`)] : []));
}

// Heading -> the cell of a group. The class of a column sets its width, and whether a narrow page has it.
const SAMPLE_COLUMNS = {
  iteration: ({all: [s]}) => element("td", {class: "iteration"}, element("button", {class: "fold", "aria-expanded": "false", "aria-label": "Samples of this prompt"}),
                                     String(s.step), ...(s.part === "held-out" ? [element("span", {}, "held-out")] : [])),
  run: ({all: [s]}) => element("td", {class: "run"}, element("i", {style: `background:${colorOf(s.run)}`}), data.runs[s.run].name),
  verdict: ({all}) => verdictCell(all),
  score: ({all}) => element("td", {class: "score number"}, formatNumber(meanOf(all, "score"))),
  tokens: ({all}) => element("td", {class: "tokens number"}, formatNumber(meanOf(all, "tokens"))),
  "ground truth": ({all: [s]}) => element("td", {class: "truth"}, preview(s.ground_truth)),
  prompt: ({all: [s]}) => element("td", {class: "prompt"}, preview(s.prompt)),
};

function meanOf(samples, key) {
  const values = samples.map((s) => s[key]).filter((v) => v !== null);
  return values.length ? mean(values) : null;
}

function groupRow(group, heads, word) {
  const row = element("tr", {class: "row"}, ...heads.map((h) => SAMPLE_COLUMNS[h](group)));
  row.addEventListener("click", () => {
    const open = row.classList.toggle("open");
    row.querySelector("button").setAttribute("aria-expanded", String(open));
    if (open) row.after(detailRow(group, word));
    else row.nextSibling.remove();
    fitDetails();
  });
  return row;
}

function countText(groups) {
  const count = (n) => n.toLocaleString("en"), all = data.runs.reduce((sum, run) => sum + run.sample_count, 0);
  const left = data.samples.length < all ? `; ${count(data.samples.length)} of the runs' ${count(all)} are in this file` : "";
  return `${count(groups.reduce((sum, g) => sum + g.chosen.length, 0))} samples in ${count(groups.length)} rows${left}`;
}

function buildSamples() {
  const section = byId("samples");
  section.hidden = data.samples.length === 0;
  if (section.hidden) return;
  const heads = Object.keys(SAMPLE_COLUMNS).filter((h) => h !== "run" || data.runs.length > 1);
  const body = element("tbody"), count = element("span", {id: "sample-count"}), more = element("button", {class: "more"}, "Show more");
  const all = groupedByKey(data.samples);
  let shown = PAGE;
  const fill = () => {
    const groups = chosenGroups(all, filters);
    count.textContent = countText(groups);
    body.replaceChildren(...groups.slice(0, shown).map((g) => groupRow(g, heads, filters.text.value.toLowerCase())));
    more.hidden = groups.length <= shown;
  };
  const filters = sampleFilters(() => { shown = PAGE; fill(); });
  more.addEventListener("click", () => { shown += PAGE; fill(); });
  const heldOut = data.samples.some((s) => s.part === "held-out");
  const label = (text, ...inputs) => element("label", {}, text, ...inputs);
  const classOf = {iteration: "iteration", run: "run", verdict: "verdict", score: "score number", tokens: "tokens number", "ground truth": "truth", prompt: "prompt"};
  section.append(
    element("div", {class: "filters"}, ...(data.runs.length > 1 ? [filters.run] : []), filters.verdict, ...(heldOut ? [filters.part] : []), label("iterations", filters.from, "to", filters.to),
            filters.order, filters.text, count),
    element("div", {class: "scroll"}, element("table", {id: "sample-table"}, element("thead", {}, element("tr", {},
      ...heads.map((h) => element("th", {class: classOf[h]}, h)))), body)),
    more);
  fill();
}
