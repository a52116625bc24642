"use strict";
// The sample table: filters, a page of rows, and the whole text of a row when it is opened. Text from a model enters
// the page as text nodes only.

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

function chosenSamples(filters) {
  const text = filters.text.value.toLowerCase(), verdict = VERDICTS[filters.verdict.value];
  const from = filters.from.value === "" ? -Infinity : Number(filters.from.value), to = filters.to.value === "" ? Infinity : Number(filters.to.value);
  return data.samples.filter((s) =>
    (filters.run.value === "" || s.run === Number(filters.run.value)) && (filters.part.value === "" || s.part === filters.part.value) && (!verdict || verdict.of(s)) && s.step >= from && s.step <= to &&
    (!text || (s.prompt + "\n" + s.response).toLowerCase().includes(text))).sort(ORDERS[filters.order.value]);
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

function detailRow(sample, word) {
  const facts = element("dl", {});
  const fact = (name, value) => { if (value !== "" && value !== null && value !== undefined) facts.append(element("dt", {}, name), element("dd", {}, String(value))); };
  fact("run", data.runs[sample.run].name);
  fact("part", sample.part);
  fact("prompt id", sample.prompt_id);
  fact("answer found", sample.answer);
  fact("ground truth", sample.ground_truth);
  fact("components", Object.entries(sample.components || {}).map(([k, v]) => `${k} ${formatNumber(v)}`).join(", "));
  fact("error", sample.error);
  return element("tr", {}, element("td", {class: "detail", colspan: 10}, facts, element("h4", {}, "Prompt"), element("pre", {}, ...marked(sample.prompt, word)),
                                   element("h4", {}, "Response"), element("pre", {}, ...marked(sample.response, word))));
}

function sampleRow(sample, word) {
  const verdict = verdictOf(sample);
  const preview = (text) => text.slice(0, 200).replace(/\s+/g, " ");
  const row = element("tr", {class: "row", tabindex: 0, "aria-expanded": "false"},
    ...(data.runs.length > 1 ? [element("td", {}, element("i", {style: `background:${colorOf(sample.run)}`}), data.runs[sample.run].name)] : []),
    element("td", {}, String(sample.step)), element("td", {class: verdict.class}, verdict.label),
    element("td", {class: "number"}, sample.score === null ? "–" : formatNumber(sample.score)), element("td", {class: "number"}, formatNumber(sample.tokens)),
    element("td", {}, sample.finish), element("td", {}, preview(sample.answer)), element("td", {}, preview(sample.ground_truth)),
    element("td", {}, preview(sample.prompt)), element("td", {}, preview(sample.response)));
  const toggle = () => {
    const open = row.classList.toggle("open");
    row.setAttribute("aria-expanded", String(open));
    if (open) row.after(detailRow(sample, word));
    else row.nextSibling.remove();
  };
  row.addEventListener("click", toggle);
  row.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
  return row;
}

function buildSamples() {
  const section = byId("samples");
  section.hidden = data.samples.length === 0;
  if (section.hidden) return;
  const heads = [...(data.runs.length > 1 ? ["run"] : []), "iteration", "verdict", "score", "tokens", "finish", "answer", "ground truth", "prompt", "response"];
  const isNumber = (head) => head === "score" || head === "tokens";
  const body = element("tbody"), count = element("span", {id: "sample-count"}), more = element("button", {class: "more"}, "Show more");
  let shown = PAGE;
  const fill = () => {
    const chosen = chosenSamples(filters), all = data.runs.reduce((sum, run) => sum + run.sample_count, 0);
    const left = data.samples.length < all ? `; ${data.samples.length.toLocaleString("en")} of the runs' ${all.toLocaleString("en")} are in this file` : "";
    count.textContent = `${chosen.length.toLocaleString("en")} samples${left}`;
    body.replaceChildren(...chosen.slice(0, shown).map((s) => sampleRow(s, filters.text.value.toLowerCase())));
    more.hidden = chosen.length <= shown;
  };
  const filters = sampleFilters(() => { shown = PAGE; fill(); });
  more.addEventListener("click", () => { shown += PAGE; fill(); });
  const heldOut = data.samples.some((s) => s.part === "held-out");
  const label = (text, ...inputs) => element("label", {}, text, ...inputs);
  section.append(
    element("div", {class: "filters"}, ...(data.runs.length > 1 ? [filters.run] : []), filters.verdict, ...(heldOut ? [filters.part] : []), label("iterations", filters.from, "to", filters.to),
            filters.order, filters.text, count),
    element("div", {class: "scroll"}, element("table", {id: "sample-table"}, element("thead", {}, element("tr", {},
      ...heads.map((h) => element("th", {class: isNumber(h) ? "number" : ""}, h)))), body)),
    more);
  fill();
}
