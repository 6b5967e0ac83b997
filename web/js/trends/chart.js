/**
 * One kind of measurement over the visits, as SVG: sharp on screen and on paper, coloured by the style sheets only.
 *
 * Distances in time are true. Blood pressure is a bar from diastolic to systolic; fasting glucose is a line, other
 * glucose stands alone beside it; everything else is a line. What is odd is drawn with its mark; a value outside what
 * can be measured stands at the edge of the chart, so that it neither hides nor flattens the others.
 */

import { formatDate, t } from "../lib/i18n.js";
import { unit } from "../vehicle/reading.js";
import { drawMark, groundOf, shape, text } from "./shapes.js";

const DAY = 86_400_000;
/** The site is 8 hours ahead of UTC all year. */
const SITE_OFFSET = 8 * 3_600_000;
const MARGIN = { left: 44, right: 74, top: 20, bottom: 28 };
const CHARACTER = 7.6;
/** Room that a visit needs so that its value, and its date, can be written at it. */
const VALUE_ROOM = 58;
const DATE_ROOM = 84;

/** @typedef {import("../vehicle/reading.js").ReadingView & { origin?: { source: string, name: string } }} View */
/**
 * @typedef {object} Trend
 * @property {string} kind
 * @property {View[]} readings           oldest first
 * @property {Record<string, number>} [targets]  component key → below this number
 */
/**
 * @typedef {object} Options
 * @property {number} width
 * @property {number} height
 * @property {number} since  ms, the left end
 * @property {number} until
 * @property {boolean} [pulse]  whether the pulse is drawn with blood pressure
 */

/** @typedef {{ at: number, value: number, text: string, level: string, beyond: boolean, view: View }} Point */

const PARTS = { blood_pressure: ["systolic", "diastolic"], spo2: ["spo2"], glucose: ["fasting_glucose", "glucose"] };

/** An axis spans at least so much, in the unit of the kind: a small change must not look like a fall. */
const LEAST_SPAN = /** @type {Record<string, number>} */ ({ blood_pressure: 80, glucose: 4, spo2: 8, body_weight: 6, body_temperature: 2 });
/** Nothing is above this. */
const MOST = /** @type {Record<string, number>} */ ({ spo2: 100 });

/**
 * @param {Trend} trend  at least one reading
 * @param {Options} options
 */
export function drawChart(trend, options) {
  const { width, height } = options;
  const { kind, readings, targets = {} } = trend;
  const parts = /** @type {Record<string, string[]>} */ (PARTS)[kind] ?? [readings[0].components[0].key];
  const pulse = kind === "blood_pressure" && options.pulse ? pointsOf(readings, "pulse_rate") : [];
  const series = parts.map((key) => pointsOf(readings, key));
  const ticks = scaleOf([...series.flat(), ...pulse], parts.flatMap((key) => targets[key] ?? []), LEAST_SPAN[kind] ?? 0, MOST[kind] ?? Infinity);
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const inner = Math.min(12, (right - MARGIN.left) / 20);
  const span = options.until - options.since || 1;
  const x = (/** @type {number} */ at) => MARGIN.left + inner + ((at - options.since) / span) * (right - MARGIN.left - 2 * inner);
  const y = (/** @type {number} */ value) =>
    MARGIN.top + ((high - Math.min(Math.max(value, low), high)) / (high - low || 1)) * (bottom - MARGIN.top);
  const place = { x, y, top: MARGIN.top, bottom, left: MARGIN.left, right };

  const svg = shape("svg", { class: `trend trend-${kind}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summaryOf(trend) });
  drawTargets(svg, parts, targets, place);
  for (const tick of ticks) {
    svg.append(shape("line", { class: "trend-grid", x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick) }));
    svg.append(text(String(tick), { class: "trend-tick", x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" }));
  }
  drawTimes(svg, readings.map((one) => Date.parse(one.taken_at)), options, place);
  if (kind === "blood_pressure") drawBars(svg, series[0], series[1], pulse, place);
  else series.forEach((points, index) => drawLine(svg, points, parts[index], place));
  return svg;
}

/** @typedef {{ x: (at: number) => number, y: (value: number) => number, top: number, bottom: number, left: number, right: number }} Place */

/**
 * @param {View[]} readings
 * @param {string} key
 * @returns {Point[]}
 */
function pointsOf(readings, key) {
  return readings.flatMap((view) => {
    const part = view.components.find((one) => one.key === key);
    if (!part) return [];
    const mark = /** @type {any} */ (part).mark;
    const level = String(/** @type {any} */ (part).level ?? "");
    return [{ at: Date.parse(view.taken_at), value: Number(part.value), text: part.value, level, beyond: mark === "implausible", view }];
  });
}

/**
 * Round numbers from below the lowest to above the highest plausible value and target.
 *
 * @param {Point[]} points
 * @param {number[]} targets
 * @param {number} leastSpan
 * @param {number} most
 */
function scaleOf(points, targets, leastSpan, most) {
  const plausible = points.filter((point) => !point.beyond);
  const values = [...(plausible.length ? plausible : points).map((point) => point.value), ...targets];
  const missing = Math.max(0, leastSpan - (Math.max(...values) - Math.min(...values)));
  const high = Math.max(Math.min(Math.max(...values) + missing / 2, most), Math.max(...values));
  return niceTicks(Math.min(Math.min(...values), high - leastSpan), high);
}

/**
 * Three to six round numbers around the values.
 *
 * @param {number} low
 * @param {number} high
 */
export function niceTicks(low, high) {
  const span = Math.max(high - low, Math.abs(high) * 0.03, 0.5);
  const rough = span / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const first = Math.floor(low / step);
  const ticks = [];
  for (let at = first; at * step < high + step * 0.999 || ticks.length < 2; at += 1) ticks.push(Number((at * step).toFixed(6)));
  return ticks;
}

/**
 * The control target: the ground below it, and a line for each number.
 *
 * Each end of a blood pressure's bar has a ground of its own, so that neither hides a miss of the other: plain below the
 * diastolic target, where the foot has to stand, hatched from there to the systolic one, where the top may reach.
 *
 * @param {Element} svg
 * @param {string[]} parts
 * @param {Record<string, number>} targets
 * @param {Place} place
 */
function drawTargets(svg, parts, targets, { y, left, right, bottom }) {
  const limits = parts.flatMap((key) => (targets[key] ? [{ key, limit: targets[key] }] : [])).sort((one, other) => one.limit - other.limit);
  let ground = bottom;
  for (const { key, limit } of limits) {
    const at = { x: left, y: y(limit), width: right - left, height: Math.max(ground - y(limit), 0) };
    svg.append(...groundOf(key, at));
    ground = y(limit);
  }
  for (const { key, limit } of limits) {
    svg.append(shape("line", { class: `trend-limit trend-limit-${key}`, x1: left, x2: right, y1: y(limit), y2: y(limit) }));
    svg.append(text(`< ${limit}`, { class: "trend-tick trend-limit-text", x: right + 6, y: y(limit) + 4 }));
  }
}

/**
 * The dates: of each visit where they fit, of months or years otherwise.
 *
 * @param {Element} svg
 * @param {number[]} times
 * @param {Options} options
 * @param {Place} place
 */
function drawTimes(svg, times, options, { x, bottom, left, right }) {
  const days = [...new Map(times.map((at) => [formatDate(at), at])).entries()];
  const fit = days.every(([, at], index) => index === 0 || x(at) - x(days[index - 1][1]) >= DATE_ROOM);
  const ticks = fit ? days.map(([label, at]) => ({ at, label })) : monthTicks(options.since, options.until, (right - left) / DATE_ROOM);
  const half = 5 * CHARACTER;
  for (const { at, label } of ticks) {
    if (x(at) < left - 1 || x(at) > right + 1) continue;
    svg.append(shape("line", { class: "trend-grid", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 5 }));
    const anchor = x(at) - half < left - 20 ? "start" : "middle";
    svg.append(text(label, { class: "trend-tick", x: anchor === "start" ? Math.max(x(at), left) : x(at), y: bottom + 19, "text-anchor": anchor }));
  }
}

/**
 * Firsts of months, or days where the time is short, at most `most` of them.
 *
 * @param {number} since
 * @param {number} until
 * @param {number} most
 */
export function monthTicks(since, until, most) {
  const days = (until - since) / DAY;
  const ticks = [];
  if (days / 28 < Math.min(3, most)) {
    const step = [1, 2, 7, 14, 28].find((one) => days / one <= most) ?? 28;
    const first = Math.ceil((since + SITE_OFFSET) / DAY) * DAY - SITE_OFFSET;
    for (let at = first; at <= until; at += step * DAY) ticks.push({ at, label: formatDate(at) });
    return ticks;
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120].find((one) => days / 30.4 / one <= most) ?? 240;
  const [year, month] = formatDate(since).split("-").map(Number);
  for (let index = year * 12 + month - 1; ; index += 1) {
    if (index % step) continue;
    const at = Date.UTC(Math.floor(index / 12), index % 12, 1) - SITE_OFFSET;
    if (at > until) return ticks;
    if (at >= since) ticks.push({ at, label: step >= 12 ? formatDate(at).slice(0, 4) : formatDate(at).slice(0, 7) });
  }
}

/**
 * @param {Element} svg
 * @param {Point[]} tops
 * @param {Point[]} feet
 * @param {Point[]} pulse
 * @param {Place} place
 */
function drawBars(svg, tops, feet, pulse, place) {
  const { x, y } = place;
  const breadth = Math.min(9, Math.max(3, (place.right - place.left) / Math.max(tops.length, 1) / 3));
  const written = whichAreWritten(tops, place);
  tops.forEach((top, index) => {
    const foot = feet[index];
    const level = worst(top.level, foot.level);
    const bar = shape("line", {
      class: `trend-bar${level ? ` trend-bar-${level}` : ""}${top.beyond || foot.beyond ? " trend-beyond" : ""}`,
      x1: x(top.at),
      x2: x(top.at),
      y1: y(top.value),
      y2: y(foot.value),
      "stroke-width": top.beyond || foot.beyond ? 2.5 : breadth,
    });
    bar.append(text(titleOf(top.view, `${top.text}/${foot.text}`), {}, "title"));
    svg.append(bar);
    for (const end of [top, foot]) {
      if (end.level && !end.beyond) svg.append(shape("line", { class: `trend-cap trend-bar-${end.level}`, x1: x(end.at) - breadth - 1, x2: x(end.at) + breadth + 1, y1: y(end.value), y2: y(end.value) }));
    }
    const above = y(top.value) - 5;
    if (level) drawMark(svg, x(top.at), above - 3, level, top.beyond || foot.beyond);
    if (written.has(index)) write(svg, `${top.text}/${foot.text}`, x(top.at), above - (level ? 10 : 1), place, index === tops.length - 1, y(top.value));
  });
  for (const point of pulse) {
    const dot = shape("circle", { class: "trend-pulse", cx: x(point.at), cy: y(point.value), r: 3 });
    dot.append(text(titleOf(point.view, `${t("Pulse rate")} ${point.text}`), {}, "title"));
    svg.append(dot);
  }
}

/**
 * @param {Element} svg
 * @param {Point[]} points
 * @param {string} key
 * @param {Place} place
 */
function drawLine(svg, points, key, place) {
  const { x, y } = place;
  const alone = key === "glucose";
  const joined = points.filter((point) => !point.beyond);
  if (!alone && joined.length > 1) {
    svg.append(shape("polyline", { class: "trend-line", points: joined.map((one) => `${x(one.at).toFixed(1)},${y(one.value).toFixed(1)}`).join(" ") }));
  }
  const written = whichAreWritten(points, place);
  points.forEach((point, index) => {
    const at = { x: x(point.at), y: y(point.value) };
    const dot = alone
      ? shape("rect", { class: "trend-dot trend-random", x: at.x - 3.5, y: at.y - 3.5, width: 7, height: 7, transform: `rotate(45 ${at.x} ${at.y})` })
      : shape("circle", { class: `trend-dot${point.beyond ? " trend-beyond" : ""}`, cx: at.x, cy: at.y, r: points.length > 30 ? 3 : 4 });
    dot.append(text(titleOf(point.view, point.text), {}, "title"));
    svg.append(dot);
    if (point.level) drawMark(svg, at.x, at.y - 10, point.level, point.beyond);
    if (written.has(index)) write(svg, point.text, at.x, at.y - (point.level ? 17 : 9), place, index === points.length - 1, at.y);
  });
}

/**
 * Every value where there is room; always the newest.
 *
 * @param {Point[]} points
 * @param {Place} place
 */
function whichAreWritten(points, { x }) {
  const fit = points.every((point, index) => index === 0 || x(point.at) - x(points[index - 1].at) >= VALUE_ROOM);
  return new Set(fit ? points.keys() : [points.length - 1]);
}

/**
 * @param {Element} svg
 * @param {string} words
 * @param {number} x
 * @param {number} above
 * @param {Place} place
 * @param {boolean} isNewest
 * @param {number} beside  where the newest is written, at the right edge
 */
function write(svg, words, x, above, place, isNewest, beside) {
  if (isNewest && x > place.right - 60) svg.append(text(words, { class: "trend-last", x: x + 10, y: Math.max(beside + 5, place.top) }));
  else svg.append(text(words, { class: `trend-value${isNewest ? " trend-last" : ""}`, x, y: Math.max(above, 11), "text-anchor": "middle" }));
}

/** @param {string[]} levels */
function worst(...levels) {
  return levels.includes("danger") ? "danger" : levels.includes("warning") ? "warning" : "";
}

/**
 * @param {View} view
 * @param {string} words
 */
function titleOf(view, words) {
  return [formatDate(view.taken_at), words, unit(view.unit), ...view.marks.map((mark) => t(mark.label))].join(" ");
}

/** @param {Trend} trend */
function summaryOf({ readings }) {
  const [first, last] = [readings[0], readings[readings.length - 1]];
  return t("%(name)s: %(first)s on %(from)s, %(last)s on %(to)s, %(count)s readings", {
    name: t(first.name),
    first: first.text,
    from: formatDate(first.taken_at),
    last: last.text,
    to: formatDate(last.taken_at),
    count: readings.length,
  });
}
