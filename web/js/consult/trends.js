/**
 * Readings over time, drawn as SVG: one small chart for each kind, a line for each component, the newest value written
 * at its end. Distances in time are true; a single reading is a dot. No dependence on the page but its element.
 */

import { el } from "../lib/dom.js";
import { formatDate, t } from "../lib/i18n.js";
import { label, unit } from "../vehicle/reading.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560;
const HEIGHT = 150;
const LEFT = 44;
const RIGHT = 64;
const TOP = 12;
const BOTTOM = 26;
const ORDER = ["blood_pressure", "glucose", "spo2", "pulse_rate", "body_temperature", "body_weight"];
const HIDDEN_BESIDE = { blood_pressure: ["mean", "pulse_rate"], spo2: ["pulse_rate", "perfusion_index"] };

/** @typedef {import("../vehicle/reading.js").ReadingView} ReadingView */
/** @typedef {{ name: string, points: { at: number, value: number, text: string }[] }} Series */

/**
 * @param {HTMLElement} root
 * @param {Record<string, ReadingView[]>} trends  by kind, oldest first
 */
export function drawTrends(root, trends) {
  const kinds = Object.keys(trends).sort((a, b) => rank(a) - rank(b));
  root.replaceChildren(...kinds.filter((kind) => trends[kind].length > 1).map((kind) => drawTrend(kind, trends[kind])));
}

/** @param {string} kind */
function rank(kind) {
  const at = ORDER.indexOf(kind);
  return at < 0 ? ORDER.length : at;
}

/**
 * @param {string} kind
 * @param {ReadingView[]} readings
 */
function drawTrend(kind, readings) {
  const series = seriesOf(kind, readings);
  const values = series.flatMap((one) => one.points.map((point) => point.value));
  const times = readings.map((reading) => Date.parse(reading.taken_at));
  const ticks = niceTicks(Math.min(...values), Math.max(...values));
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const [start, end] = [Math.min(...times), Math.max(...times)];
  const x = (/** @type {number} */ at) => LEFT + (end > start ? (at - start) / (end - start) : 1) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ value) => TOP + (high > low ? (high - value) / (high - low) : 0.5) * (HEIGHT - TOP - BOTTOM);
  const newest = readings[readings.length - 1];
  const summary = t("%(name)s: %(first)s on %(from)s, %(last)s on %(to)s, %(count)s readings", {
    name: label(newest),
    first: readings[0].text,
    from: formatDate(start),
    last: newest.text,
    to: formatDate(end),
    count: readings.length,
  });
  const svg = shape("svg", { class: "trend", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary });
  for (const tick of ticks) {
    svg.append(shape("line", { class: "trend-grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(text(String(tick), { class: "trend-tick", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }));
  }
  svg.append(text(formatDate(start), { class: "trend-tick", x: LEFT, y: HEIGHT - 6, "text-anchor": "start" }));
  if (formatDate(end) !== formatDate(start)) {
    svg.append(text(formatDate(end), { class: "trend-tick", x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }));
  }
  series.forEach((one, index) => {
    const points = one.points.map((point) => `${x(point.at).toFixed(1)},${y(point.value).toFixed(1)}`);
    svg.append(shape("polyline", { class: `trend-line trend-line-${index}`, points: points.join(" ") }));
    for (const point of one.points) {
      const dot = shape("circle", { class: `trend-dot trend-line-${index}`, cx: x(point.at), cy: y(point.value), r: 4 });
      dot.append(text(`${formatDate(point.at)} ${one.name} ${point.text}`, {}, "title"));
      svg.append(dot);
    }
    const last = one.points[one.points.length - 1];
    svg.append(text(last.text, { class: "trend-last", x: x(last.at) + 9, y: y(last.value) + 5 }));
  });
  const names = series.length > 1 ? ` ${series.map((one) => one.name).join(" / ")}` : "";
  return el("figure", { class: "card trend-card" }, el("figcaption", {}, el("b", {}, label(newest)), el("span", { class: "soft small" }, `${names} ${unit(newest.unit)}`)), svg);
}

/**
 * @param {string} kind
 * @param {ReadingView[]} readings
 * @returns {Series[]}
 */
function seriesOf(kind, readings) {
  const hidden = /** @type {Record<string, string[]>} */ (HIDDEN_BESIDE)[kind] ?? [];
  /** @type {Map<string, Series>} */
  const found = new Map();
  for (const reading of readings) {
    for (const part of reading.components) {
      if (hidden.includes(part.key)) continue;
      const one = found.get(part.key) ?? { name: t(part.label), points: [] };
      one.points.push({ at: Date.parse(reading.taken_at), value: Number(part.value), text: part.value });
      found.set(part.key, one);
    }
  }
  return [...found.values()];
}

/**
 * Three to five round numbers around the values.
 *
 * @param {number} low
 * @param {number} high
 */
export function niceTicks(low, high) {
  const span = Math.max(high - low, Math.abs(high) * 0.05, 0.5);
  const rough = span / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const first = Math.floor(low / step) * step;
  const ticks = [];
  for (let tick = first; tick < high + step; tick += step) ticks.push(Number(tick.toFixed(6)));
  return ticks;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/**
 * @param {string} words
 * @param {Record<string, string | number>} attributes
 * @param {string} [name]
 */
function text(words, attributes, name = "text") {
  const element = shape(name, attributes);
  element.textContent = words;
  return element;
}
