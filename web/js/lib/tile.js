/**
 * Reading tiles made in the browser from the same markup as the macro `clinical.tile`: the page holds one copy of
 * `clinical.tile_template()`.
 */

import { el, fill, find, fromTemplate, status } from "./dom.js";

/**
 * @typedef {object} Reading  a reading as shown
 * @property {string} id
 * @property {string} kind
 * @property {string} label
 * @property {string} value  ready to show: "152/96"
 * @property {string} unit
 * @property {string} time  "14:05"
 * @property {string} [taken_at]  ISO text
 * @property {"preliminary" | "final" | "corrected" | "cancelled"} status
 * @property {"" | "warning" | "danger"} [level]
 * @property {string | null} [device]
 * @property {string} [note]  what the device sent with it, such as a name
 * @property {string | null} [sentence]
 * @property {string} [given]  what the device itself shows, if it has another unit
 * @property {{ label: string, value: string, unit: string } | null} [extra]
 * @property {{ value: string, unit: string, date: string } | null} [previous]
 * @property {{ level: "warning" | "danger" | "off" | "info", word: string }[]} [marks]
 * @property {Target | null} [target]
 */

/**
 * @typedef {object} Target  where the value stands; numbers in the reading's unit
 * @property {number | null} low
 * @property {number | null} high
 * @property {number} value
 * @property {number} from  left end of the band
 * @property {number} to
 * @property {string} text
 */

const STATUSES = ["empty", "preliminary", "final", "corrected", "cancelled"];
const BAND_WIDTH = 200;

/**
 * @param {Reading} reading
 * @returns {HTMLElement}
 */
export function makeTile(reading) {
  const tile = fromTemplate("tile");
  showReading(tile, reading);
  return tile;
}

/**
 * Show a reading in a tile, whatever it showed before.
 *
 * @param {HTMLElement} tile
 * @param {Reading} reading
 */
export function showReading(tile, reading) {
  tile.classList.remove(...STATUSES.map((word) => `tile-${word}`), "tile-warning", "tile-danger");
  tile.classList.add(`tile-${reading.status}`);
  if (reading.level) tile.classList.add(`tile-${reading.level}`);
  tile.dataset.reading = reading.id;
  tile.dataset.kind = reading.kind;
  tile.dataset.taken = reading.taken_at ?? "";
  tile.setAttribute("aria-label", reading.label);
  fill(tile, {
    label: reading.label,
    value: reading.value,
    unit: reading.unit,
    time: reading.time,
    device: reading.device ?? "",
    note: reading.note ?? "",
    sentence: reading.sentence ?? "",
    given: reading.given ?? "",
    extra: reading.extra?.value ?? "",
    "extra-label": reading.extra?.label ?? "",
    "extra-value": reading.extra?.value ?? "",
    "extra-unit": reading.extra?.unit ?? "",
    previous: reading.previous?.value ?? "",
    "previous-value": reading.previous?.value ?? "",
    "previous-unit": reading.previous?.unit ?? "",
    "previous-date": reading.previous?.date ?? "",
    target: reading.target ? reading.target.text || " " : "",
    "target-text": reading.target?.text ?? "",
    actions: reading.status === "preliminary" ? "1" : "",
  });
  find("[data-accept]", tile)?.setAttribute("data-accept", reading.id);
  find("[data-again]", tile)?.setAttribute("data-again", reading.id);
  find('[data-list="marks"]', tile)?.replaceChildren(...(reading.marks ?? []).map((mark) => status(mark.level, mark.word)));
  if (reading.target) drawBand(tile, reading.target);
}

/**
 * @param {HTMLElement} tile
 * @param {Target} target
 */
function drawBand(tile, target) {
  const span = target.to - target.from;
  if (!(span > 0)) return;
  const x = (/** @type {number} */ value) => (Math.min(Math.max(value, target.from), target.to) - target.from) / span * BAND_WIDTH;
  const low = x(target.low ?? target.from);
  const high = x(target.high ?? target.to);
  const goal = find(".band-target", tile);
  goal?.setAttribute("x", low.toFixed(1));
  goal?.setAttribute("width", (high - low).toFixed(1));
  find(".band-value", tile)?.setAttribute("x", Math.min(Math.max(x(target.value) - 1.5, 0), BAND_WIDTH - 3).toFixed(1));
}

/**
 * Let a new tile slide in where the eye is: at the front, without moving what is being read when motion is unwanted.
 *
 * @param {HTMLElement} list
 * @param {Reading} reading
 * @returns {HTMLElement}
 */
export function addTile(list, reading) {
  const tile = makeTile(reading);
  tile.classList.add("tile-arriving");
  tile.addEventListener("animationend", () => tile.classList.remove("tile-arriving"), { once: true });
  list.prepend(tile);
  return tile;
}

/**
 * A reading in one line, as the macro `clinical.vitals` draws it.
 *
 * @param {Reading} reading
 */
export function makeVital(reading) {
  return el(
    "span",
    { class: reading.level ? `vital vital-${reading.level}` : "vital", "data-kind": reading.kind },
    el("span", { class: "vital-label" }, reading.label),
    el("b", {}, reading.value),
  );
}
