/** What the shapes of a chart mean, in words. */

import { el } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { drawMark, groundOf, shape } from "./shapes.js";

/**
 * What the shapes of a chart mean, for beneath it.
 *
 * @param {import("./chart.js").Trend} trend
 * @param {boolean} pulse
 */
export function legendOf(trend, pulse) {
  const { kind, readings } = trend;
  const keys = new Set(readings.flatMap((view) => view.components.map((one) => one.key)));
  const marks = readings.flatMap((view) => view.components);
  /** @type {[string, string][]} */
  const items = [];
  if (kind === "blood_pressure") {
    items.push(["bar", t("systolic to diastolic")]);
    if (pulse && keys.has("pulse_rate")) items.push(["pulse", t("Pulse rate")]);
  }
  if (kind === "glucose") {
    if (keys.has("fasting_glucose")) items.push(["dot", t("Fasting glucose")]);
    if (keys.has("glucose")) items.push(["random", t("Glucose, not fasting")]);
  }
  for (const [key, limit] of Object.entries(trend.targets ?? {})) {
    if (key === "systolic") items.push([key, t("top of the bar here or lower: systolic below %(limit)s", { limit })]);
    else if (key === "diastolic") items.push([key, t("foot of the bar here: diastolic below %(limit)s", { limit })]);
    else items.push(["target", t("control target: below %(limit)s", { limit })]);
  }
  if (kind === "blood_pressure" && marks.some((one) => /** @type {any} */ (one).level)) items.push(["cap", t("this end misses the target")]);
  if (marks.some((one) => /** @type {any} */ (one).mark === "urgent")) items.push(["mark-danger", t("In the urgent range")]);
  if (marks.some((one) => /** @type {any} */ (one).mark === "above_target")) items.push(["mark-warning", t("Above the control target")]);
  if (marks.some((one) => /** @type {any} */ (one).mark === "implausible")) items.push(["mark-beyond", t("Implausible: measure again")]);
  if (!items.length) return null;
  return el("ul", { class: "trend-legend" }, ...items.map(([name, words]) => el("li", {}, symbol(name), words)));
}

/** @param {string} name */
function symbol(name) {
  const svg = shape("svg", { class: "trend-symbol", viewBox: "0 0 16 16", "aria-hidden": "true" });
  if (name === "bar") svg.append(shape("line", { class: "trend-bar", x1: 8, x2: 8, y1: 1, y2: 15, "stroke-width": 6 }));
  else if (name === "pulse") svg.append(shape("circle", { class: "trend-pulse", cx: 8, cy: 8, r: 3 }));
  else if (name === "dot") svg.append(shape("line", { class: "trend-line", x1: 0, x2: 16, y1: 8, y2: 8 }), shape("circle", { class: "trend-dot", cx: 8, cy: 8, r: 4 }));
  else if (name === "random") svg.append(shape("rect", { class: "trend-dot trend-random", x: 4.5, y: 4.5, width: 7, height: 7, transform: "rotate(45 8 8)" }));
  else if (["target", "systolic", "diastolic"].includes(name)) {
    svg.append(...groundOf(name, { x: 0, y: 3, width: 16, height: 12 }), shape("line", { class: `trend-limit trend-limit-${name}`, x1: 0, x2: 16, y1: 3, y2: 3 }));
  } else if (name === "cap") {
    svg.append(shape("line", { class: "trend-bar trend-bar-warning", x1: 8, x2: 8, y1: 3, y2: 15, "stroke-width": 5 }));
    svg.append(shape("line", { class: "trend-cap trend-bar-warning", x1: 2, x2: 14, y1: 3, y2: 3 }));
  }
  else drawMark(svg, 8, 8, name === "mark-danger" ? "danger" : "warning", name === "mark-beyond");
  return svg;
}
