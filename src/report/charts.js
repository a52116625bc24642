"use strict";
// Line, scatter and stacked-area charts in SVG. A chart is {title, unit, metric, log, zero, percent, exact, points,
// xLabel, series: () => [...], marks}; `exact` curves are never smoothed, `points` makes a scatter plot, and `marks`, if
// there, returns vertical lines {x, text, bad}. A series is {name,
// color, run, dashed, x: [...], y: [...]} with null where there is no value, and low and high like y if the value has
// an interval.

const view = {smoothing: 0, hidden: new Set(), xAxis: "step"};
const charts = [];  // every chart on the page, redrawn when the view changes
const HEIGHT = 204, LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 38;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function shape(parent, tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function formatNumber(value, digits = 4) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3) return value.toExponential(digits - 3).replace(/\.?0*e/, "e");
  if (size >= 1e9) return trim(value / 1e9, digits) + "G";
  if (size >= 1e6) return trim(value / 1e6, digits) + "M";
  if (size >= 1e4) return trim(value / 1e3, digits) + "k";
  return trim(value, digits);
}

function trim(value, digits = 4) {
  return String(Number(value.toPrecision(digits)));
}

// The labels of ticks, with as many digits as it takes to tell them apart.
function tickLabels(ticks, percent) {
  for (let digits = 4; ; ++digits) {
    const labels = ticks.map((t) => (percent ? trim(t * 100, digits) + " %" : formatNumber(t, digits)));
    if (new Set(labels).size === ticks.length || digits === 12) return labels;
  }
}

function formatValue(chart, value) {
  if (value === null || value === undefined) return "–";
  if (chart.percent) return (100 * value).toFixed(1) + " %";
  return formatNumber(value) + (chart.unit ? " " + chart.unit : "");
}

// Round numbers that divide [low, high], whose ends differ, into about `count` parts: two at least, because one number
// alone does not show a scale. With `whole` they are integers.
function niceTicks(low, high, count, whole = false) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const steps = [1, 2, 2.5, 5, 10].map((m) => m * power).filter((s) => !whole || Number.isInteger(s));
  const step = steps.find((s) => s >= raw * 0.999) ?? 1;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) ticks.push(Number((i * step).toPrecision(12)));
  return ticks.length >= 2 || (whole && step === 1) ? ticks : niceTicks(low, high, 2 * count, whole);
}

// Powers of ten; on a short axis also their double and fivefold, and on a shorter one the ticks of a linear axis.
function logTicks(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9), every = Math.max(1, Math.ceil((last - first + 1) / 6));
  const within = (factors, from, step) => {
    const ticks = [];
    for (let e = from; e <= last; e += step) ticks.push(...factors.map((f) => Number(`${f}e${e}`)));
    return ticks.filter((t) => t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9));
  };
  const decades = within([1], first, every), parts = within([1, 2, 5], first - 1, 1);
  if (decades.length >= 2) return decades;
  return parts.length >= 2 ? parts : niceTicks(low, high, 3);
}

// Exponential moving average without the bias towards zero at the start; gaps stay gaps.
function smooth(values, weight) {
  if (weight === 0) return values;
  let sum = 0, total = 0;
  return values.map((value) => {
    if (value === null || !isFinite(value)) return value;
    sum = sum * weight + value * (1 - weight);
    total = total * weight + (1 - weight);
    return sum / total;
  });
}

function padded(low, high, zero, percent) {
  if (zero) low = Math.min(0, low);
  if (low === high) { const pad = Math.abs(low) * 0.1 || 1; low -= zero && low === 0 ? 0 : pad; high += pad; }
  const pad = (high - low) * 0.06;
  return [zero && low === 0 ? 0 : low - pad, percent ? Math.min(Math.max(1, high), high + pad) : high + pad];
}

const xLabelOf = (chart) => chart.xLabel || xAxes[view.xAxis].label;

// Maps data to pixels and draws grid and labels. Returns {svg, x, y, bottom, right}.
function drawFrame(chart, xDomain, yDomain, log) {
  const width = Math.max(260, chart.plot.clientWidth);
  chart.plot.replaceChildren();
  const svg = shape(chart.plot, "svg", {viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": chart.title});
  const right = width - RIGHT, bottom = HEIGHT - BOTTOM;
  const scale = log ? Math.log10 : (v) => v;
  const [y0, y1] = yDomain.map(scale), [x0, x1] = xDomain;
  const x = (v) => LEFT + (x1 === x0 ? 0.5 : (v - x0) / (x1 - x0)) * (right - LEFT);
  const y = (v) => bottom - ((scale(v) - y0) / (y1 - y0)) * (bottom - TOP);
  const yTicks = log ? logTicks(...yDomain) : niceTicks(...yDomain, 4), yLabels = tickLabels(yTicks, chart.percent);
  yTicks.forEach((tick, i) => {
    shape(svg, "line", {class: "gridline", x1: LEFT, x2: right, y1: y(tick), y2: y(tick)});
    shape(svg, "text", {class: "y-label", x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end"}, yLabels[i]);
  });
  shape(svg, "line", {class: "axis", x1: LEFT, x2: right, y1: bottom, y2: bottom});
  const whole = chart.xLabel === undefined && view.xAxis === "step";
  const xTicks = x1 > x0 ? niceTicks(x0, x1, Math.max(2, Math.min(7, (right - LEFT) / 60)), whole) : [x0];
  const xLabels = tickLabels(xTicks, false);
  xTicks.forEach((tick, i) => {
    shape(svg, "line", {class: "axis", x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 4});
    shape(svg, "text", {class: "x-label", x: x(tick), y: bottom + 17, "text-anchor": "middle"}, xLabels[i]);
  });
  shape(svg, "text", {x: (LEFT + right) / 2, y: bottom + 33, "text-anchor": "middle"}, xLabelOf(chart));
  return {svg, x, y, bottom, right};
}

function pathOf(xs, ys, frame, log) {
  let path = "", pen = "M";
  for (let i = 0; i < xs.length; ++i) {
    if (ys[i] === null || xs[i] === null || (log && ys[i] <= 0)) continue;
    path += `${pen}${frame.x(xs[i]).toFixed(1)} ${frame.y(ys[i]).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

const present = (series) => series.x.map((_, i) => i).filter((i) => series.y[i] !== null && series.x[i] !== null);

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
  return [low, high];
}

// All of the runs, so that charts are alike and even one value has an axis; only points have no others beside them.
function xDomainOf(chart, shown) {
  const of = (s) => (chart.points ? present(s).map((i) => s.x[i]) : s.x.filter((v) => v !== null));
  const [low, high] = extent(shown.flatMap(of));
  return chart.points && low === high ? padded(low, high) : [low, high];
}

function drawLines(chart) {
  const shown = chart.series().filter((s) => !view.hidden.has(s.run) && present(s).length > 0);
  const positive = shown.flatMap((s) => s.y.filter((v) => v !== null && v > 0));
  const log = Boolean(chart.log) && positive.length > 0;
  if (shown.length === 0) {
    chart.plot.replaceChildren(element("p", {class: "muted"}, "no values in the runs shown"));
    return;
  }
  const xDomain = xDomainOf(chart, shown);
  // The whole interval of a value is to be seen, as far as the axis can show it.
  const bounds = (s) => [...s.y, ...(s.low || []), ...(s.high || [])].filter((v) => v !== null && v !== undefined);
  const values = log ? positive : shown.flatMap(bounds);
  let [low, high] = extent(values);
  const yDomain = log ? [low / 1.5, high * 1.5] : padded(low, high, chart.zero, chart.percent);
  const frame = drawFrame(chart, xDomain, yDomain, log);
  if (chart.marks) drawMarks(chart.marks(), frame, xDomain);
  const weight = chart.points || chart.exact ? 0 : view.smoothing;
  for (const s of shown) drawSeries(s, frame, log, chart.points, weight);
  attachHover(chart, frame, shown.map((s) => ({...s, y: smooth(s.y, weight)})), log);
}

// Below the curves. Those at one place are one line with all of their texts.
function drawMarks(marks, frame, [low, high]) {
  for (const at of new Set(marks.map((mark) => mark.x).filter((x) => x >= low && x <= high))) {
    const here = marks.filter((mark) => mark.x === at);
    const line = shape(frame.svg, "line", {class: here.some((mark) => mark.bad) ? "mark bad" : "mark good", x1: frame.x(at), x2: frame.x(at), y1: TOP, y2: frame.bottom});
    shape(line, "title", {}, here.map((mark) => mark.text).join("\n"));
  }
}

function drawSeries(s, frame, log, points, weight) {
  const style = {fill: "none", stroke: s.color, "stroke-width": 1.7, "stroke-linejoin": "round", "stroke-dasharray": s.dashed ? "5 4" : "none"};
  const smoothed = smooth(s.y, weight);
  if (s.low && s.high) drawBand(s, frame);
  if (!points) {
    if (weight > 0) shape(frame.svg, "path", {...style, d: pathOf(s.x, s.y, frame, log), opacity: 0.2});
    shape(frame.svg, "path", {...style, d: pathOf(s.x, smoothed, frame, log), class: "line"});
  }
  const marks = present(s).filter((i) => !log || s.y[i] > 0);
  if (!points && marks.length > 24) return;
  marks.forEach((i, rank) => {
    // In a scatter plot later points are darker, so that the direction of time shows.
    const opacity = points ? 0.25 + 0.7 * (rank + 1) / marks.length : 1;
    shape(frame.svg, "circle", {cx: frame.x(s.x[i]), cy: frame.y(smoothed[i]), r: points ? 3.5 : 2.6, fill: s.color, opacity});
  });
}

function drawBand(s, frame) {
  const at = present(s).filter((i) => s.low[i] !== null && s.high[i] !== null);
  const line = (ys) => at.map((i) => `${frame.x(s.x[i]).toFixed(1)} ${frame.y(ys[i]).toFixed(1)}`);
  if (at.length < 2) return;
  // An inner svg shows nothing outside of its box: with logarithms a bound may be far below the axis.
  const box = {x: LEFT, y: TOP, width: frame.right - LEFT, height: frame.bottom - TOP};
  const plot = shape(frame.svg, "svg", {...box, viewBox: `${box.x} ${box.y} ${box.width} ${box.height}`, overflow: "hidden"});
  shape(plot, "path", {class: "band", d: "M" + line(s.high).join("L") + "L" + line(s.low).reverse().join("L") + "Z", fill: s.color, opacity: 0.13});
}

function drawStack(chart) {
  const {x, parts} = chart.stack();
  const totals = x.map((_, i) => parts.reduce((sum, p) => sum + (p.y[i] || 0), 0));
  const frame = drawFrame(chart, extent(x), padded(0, extent(totals)[1], true), false);
  let base = x.map(() => 0);
  for (const part of parts) {
    const top = base.map((b, i) => b + (part.y[i] || 0));
    const line = (ys) => x.map((v, i) => `${frame.x(v).toFixed(1)} ${frame.y(ys[i]).toFixed(1)}`);
    shape(frame.svg, "path", {class: "area", d: "M" + line(top).join("L") + "L" + line(base).reverse().join("L") + "Z", fill: part.color, opacity: 0.85});
    base = top;
  }
  const rows = parts.map((p) => ({...p, x})).reverse();
  rows.unshift({name: "together", color: "transparent", x, y: totals});
  attachHover(chart, frame, rows, false, false);
}

function nearest(series, value) {
  let best = -1;
  for (const i of present(series)) if (best < 0 || Math.abs(series.x[i] - value) < Math.abs(series.x[best] - value)) best = i;
  return best;
}

// A cursor line and a box with the values of the point nearest to the pointer.
function attachHover(chart, frame, rows, log, dots = true) {
  const cursor = shape(frame.svg, "g", {visibility: "hidden"});
  const all = [...new Set(rows.flatMap((s) => present(s).map((i) => s.x[i])))].sort((a, b) => a - b);
  const hide = () => { cursor.setAttribute("visibility", "hidden"); chart.tooltip.hidden = true; };
  frame.svg.addEventListener("pointerleave", hide);
  frame.svg.addEventListener("pointermove", (event) => {
    const box = frame.svg.getBoundingClientRect();
    const pointer = (event.clientX - box.left) * (frame.svg.viewBox.baseVal.width / box.width);
    const at = all.reduce((a, b) => Math.abs(frame.x(b) - pointer) < Math.abs(frame.x(a) - pointer) ? b : a, all[0]);
    cursor.replaceChildren();
    cursor.setAttribute("visibility", "visible");
    shape(cursor, "line", {class: "cursor", x1: frame.x(at), x2: frame.x(at), y1: TOP, y2: frame.bottom});
    const lines = [element("b", {}, `${xLabelOf(chart)} ${formatNumber(at)}`)];
    for (const row of rows) {
      const i = nearest(row, at);
      if (i < 0 || (Math.abs(frame.x(row.x[i]) - frame.x(at)) > 24)) continue;
      if (dots && !(log && row.y[i] <= 0)) shape(cursor, "circle", {cx: frame.x(row.x[i]), cy: frame.y(row.y[i]), r: 4, fill: row.color});
      lines.push(element("div", {}, element("i", {style: `background:${row.color}`}), element("span", {}, row.name),
                         element("em", {}, formatValue(chart, row.y[i]))));
    }
    chart.tooltip.replaceChildren(...lines.slice(0, 16));
    chart.tooltip.hidden = false;
    const room = chart.card.clientWidth - chart.tooltip.offsetWidth - 8, left = frame.x(at) + 26;
    chart.tooltip.style.left = `${Math.max(8, left > room ? frame.x(at) - chart.tooltip.offsetWidth : left)}px`;
    chart.tooltip.style.top = "52px";
  });
}

function addChart(grid, chart) {
  chart.plot = element("div", {class: "plot"});
  chart.tooltip = element("div", {class: "tooltip", hidden: ""});
  const title = element("h3", {}, chart.title);
  if (chart.unit || chart.log) title.append(element("small", {}, [chart.unit, chart.log ? "log scale" : ""].filter(Boolean).join(", ")));
  chart.card = element("div", {class: "card"}, title, element("p", {class: "metric", title: chart.metric}, chart.metric));
  if (chart.head) chart.card.append(chart.head);
  chart.card.append(chart.plot, chart.tooltip);
  chart.draw = () => { chart.tooltip.hidden = true; (chart.stack ? drawStack : drawLines)(chart); };
  grid.append(chart.card);
  charts.push(chart);
}

// Charts in a closed <details> have no width; they are drawn when it opens.
function redraw() {
  for (const chart of charts) if (chart.card.offsetParent !== null) chart.draw();
}
