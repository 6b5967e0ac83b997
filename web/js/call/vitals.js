/** The vitals strip of the call: the last reading of each kind, and the waves that devices send now. */

import { el, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { WaveBoard } from "../lib/waves.js";
import { toTile } from "../vehicle/reading.js";

/** @typedef {import("../vehicle/reading.js").ReadingView} Reading */

/** The strip: readings by kind, newest value of each, and the waves. */
export class VitalsStrip {
  /** @type {Map<string, HTMLElement>} */ #tiles = new Map();

  /**
   * @param {HTMLElement} root  has [data-vitals-list], [data-vitals-empty], [data-waves]
   * @param {string | null} patientId  readings of anybody else are not shown
   */
  constructor(root, patientId) {
    this.patientId = patientId;
    this.list = /** @type {HTMLElement} */ (find("[data-vitals-list]", root));
    this.empty = find("[data-vitals-empty]", root);
    this.waves = new WaveBoard(/** @type {HTMLElement} */ (find("[data-waves]", root)), patientId);
  }

  /** @param {Reading} reading */
  show(reading) {
    if (this.patientId && reading.patient_id && reading.patient_id !== this.patientId) return;
    const old = this.#tiles.get(reading.kind);
    if (old && String(old.dataset.taken) > reading.taken_at) return;
    if (["cancelled", "entered-in-error"].includes(reading.status)) {
      if (old?.dataset.reading !== reading.id) return;
      old.remove();
      this.#tiles.delete(reading.kind);
    } else {
      const tile = makeTile(reading);
      if (old) old.replaceWith(tile);
      else this.list.append(tile);
      this.#tiles.set(reading.kind, tile);
    }
    if (this.empty) this.empty.hidden = this.#tiles.size > 0;
  }

  /** @param {import("../lib/waves.js").Waveform} wave */
  wave(wave) {
    this.waves.add(wave);
  }
}

/** @param {Reading} reading */
function makeTile(reading) {
  const shown = toTile(reading);
  const notes = [
    reading.status === "streaming" ? t("live") : shown.time,
    reading.status === "preliminary" ? t("not yet accepted") : "",
    shown.given ?? "",
    ...reading.marks.map((mark) => t(mark.label)),
  ];
  return el(
    "div",
    {
      class: `call-vital${shown.level ? ` call-vital-${shown.level}` : ""}${reading.status === "preliminary" ? " call-vital-new" : ""}`,
      "data-reading": reading.id,
      "data-kind": reading.kind,
      "data-taken": reading.taken_at,
    },
    el("span", { class: "call-vital-label" }, shown.label),
    el(
      "span",
      { class: "call-vital-value" },
      el("b", {}, shown.value),
      " ",
      el("small", {}, shown.unit),
      shown.extra ? el("span", { class: "call-vital-extra" }, `${shown.extra.label} `, el("b", {}, shown.extra.value)) : null,
    ),
    el("span", { class: "call-vital-note" }, notes.filter(Boolean).join(" · ")),
  );
}
