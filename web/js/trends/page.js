/** The trends page and its printed sheet: a chart in every [data-trend], redrawn when the window's width changes. */

import { all, byId, find } from "../lib/dom.js";
import { drawChart } from "./chart.js";
import { legendOf } from "./legend.js";

const HEIGHTS = /** @type {Record<string, number>} */ ({ blood_pressure: 300 });
const HEIGHT = 200;
/** A sheet's charts are drawn for this many units of width and scaled by the style sheet. */
const SHEET = { wide: { width: 760, height: 180 }, half: { width: 440, height: 130 } };
const KEPT = "trends:pulse";

/** @type {{ since: string | null, until: string, trends: import("./chart.js").Trend[] }} */
const data = JSON.parse(byId("trend-data").textContent || "{}");
const isSheet = byId("trend-data").dataset.sheet === "1";
const first = Math.min(...data.trends.map((trend) => Date.parse(trend.readings[0].taken_at)));
const until = Date.parse(data.until);
const since = data.since ? Date.parse(data.since) : first;

const choice = document.getElementById("f-pulse");
if (choice instanceof HTMLInputElement) {
  choice.checked = localStorage.getItem(KEPT) === "1";
  choice.addEventListener("change", () => {
    localStorage.setItem(KEPT, choice.checked ? "1" : "");
    drawAll();
  });
}

function drawAll() {
  const pulse = choice instanceof HTMLInputElement && choice.checked;
  for (const trend of data.trends) {
    const place = find(`[data-trend="${CSS.escape(trend.kind)}"] [data-chart]`);
    if (!place) continue;
    const sheet = trend.kind === "blood_pressure" ? SHEET.wide : SHEET.half;
    const size = isSheet ? sheet : { width: Math.max(place.clientWidth, 280), height: HEIGHTS[trend.kind] ?? HEIGHT };
    const legend = legendOf(trend, pulse);
    place.replaceChildren(drawChart(trend, { ...size, since, until, pulse }), ...(legend ? [legend] : []));
  }
}

drawAll();
if (!isSheet) {
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    requestAnimationFrame(drawAll);
  });
}
for (const frame of all(".trend-table")) frame.scrollTop = 0;
document.documentElement.dataset.trends = "drawn";
