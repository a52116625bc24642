"use strict";
const funnel = JSON.parse(document.getElementById("data").textContent);

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function row(cells, tag) {
  const line = make("tr");
  for (const cell of cells) {
    if (cell instanceof Node) line.append(cell);
    else line.append(make(tag || "td", typeof cell === "number" ? cell.toLocaleString("en") : cell, typeof cell === "number" ? "number" : ""));
  }
  return line;
}

function reasonsText(reasons) {
  return Object.entries(reasons).map(([reason, count]) => reason + " " + count.toLocaleString("en")).join(", ");
}

function barCell(share) {
  const cell = make("td");
  const bar = make("div", undefined, "bar");
  bar.style.width = (100 * share).toFixed(2) + "%";
  cell.append(bar);
  return cell;
}

function exampleTable(examples) {
  const table = make("table");
  for (const example of examples) {
    const place = make("td", example.id);
    place.append(make("small", example.where));
    const problem = make("td", example.problem, "problem");
    problem.append(make("small", "answer: " + example.answer));
    const line = row([place, problem]);
    if (example.reason) {
      const reason = make("td", example.reason, "reason");
      if (example.details) reason.append(make("small", JSON.stringify(example.details)));
      line.append(reason);
    }
    table.append(line);
  }
  const box = make("div", undefined, "scroll");
  box.append(table);
  return box;
}

function folded(title, content) {
  const box = make("details");
  box.append(make("summary", title), content);
  return box;
}

const rows = funnel.input_rows || 1;
document.getElementById("subtitle").textContent =
  funnel.kept_rows.toLocaleString("en") + " of " + funnel.input_rows.toLocaleString("en") + " problems are kept.";
const table = document.getElementById("funnel");
table.append(row(["stage", "input", "dropped", "kept", "share kept of the input", "reasons"], "th"));
for (const stage of funnel.stages)
  table.append(row([stage.stage, stage.input, stage.dropped, stage.kept, barCell(stage.kept / rows), reasonsText(stage.reasons)]));
const stages = document.getElementById("stages");
for (const stage of funnel.stages) {
  const section = make("section");
  section.append(make("h2", stage.stage));
  if (stage.dropped_examples.length) section.append(make("h3", "Dropped"), exampleTable(stage.dropped_examples));
  section.append(folded("Kept", exampleTable(stage.kept_examples)));
  section.append(folded("Summary and settings", make("pre", JSON.stringify({summary: stage.summary, settings: stage.settings}, null, 1))));
  stages.append(section);
}
