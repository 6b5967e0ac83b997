/** The trends of a consult's patient beside the readings: small charts of the kinds with two readings or more. */

import { el } from "../lib/dom.js";
import { label, unit } from "../vehicle/reading.js";
import { t } from "../lib/i18n.js";
import { drawChart } from "../trends/chart.js";
import { legendOf } from "../trends/legend.js";

const ORDER = ["blood_pressure", "glucose", "spo2", "body_weight", "body_temperature", "pulse_rate", "heart_rate"];
const WIDTH = 560;
const HEIGHT = 170;

/** @typedef {import("../trends/chart.js").View} View */

/**
 * @param {HTMLElement} root
 * @param {Record<string, View[]>} trends  by kind, oldest first
 * @param {Record<string, Record<string, number>>} targets  by kind and component: below this number
 */
export function drawTrends(root, trends, targets) {
  const kinds = Object.keys(trends).filter((kind) => trends[kind].length > 1);
  kinds.sort((a, b) => rank(a) - rank(b));
  root.replaceChildren(...kinds.map((kind) => figure({ kind, readings: trends[kind], targets: targets[kind] ?? {} })));
}

/** @param {string} kind */
function rank(kind) {
  const at = ORDER.indexOf(kind);
  return at < 0 ? ORDER.length : at;
}

/** @param {import("../trends/chart.js").Trend} trend */
function figure(trend) {
  const { readings } = trend;
  const times = readings.map((one) => Date.parse(one.taken_at));
  const chart = drawChart(trend, { width: WIDTH, height: HEIGHT, since: Math.min(...times), until: Math.max(...times) });
  const newest = readings[readings.length - 1];
  const name = trend.kind === "glucose" ? t(newest.name) : label(newest);
  const caption = el("figcaption", {}, el("b", {}, name), el("span", { class: "soft small" }, unit(newest.unit)));
  return el("figure", { class: "card trend-card" }, caption, chart, legendOf(trend, false));
}
