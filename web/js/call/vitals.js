/** The vitals strip of the call: the last reading of each kind, and the values and waves that devices send now. */

import { el, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { WaveBoard } from "../lib/waves.js";
import { toTile } from "../vehicle/reading.js";
import { STREAM_SILENT_MS } from "../vehicle/streams.js";

/** @typedef {import("../vehicle/reading.js").ReadingView} Reading */

/** The strip: the newest reading of each kind, streams while they last, and the waves. */
export class VitalsStrip {
  /** @type {Map<string, HTMLElement>} */ #tiles = new Map();
  /** @type {Map<string, number>} */ #silent = new Map();

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

  /**
   * A kept reading stands until a newer one of its kind; a streamed value beside it, while the stream lasts.
   *
   * @param {Reading} reading
   */
  show(reading) {
    if (this.patientId && reading.patient_id && reading.patient_id !== this.patientId) return;
    if (reading.status === "streaming") this.#showStream(reading);
    else this.#showKept(reading);
    this.#tellEmpty();
  }

  /** @param {Reading} reading */
  #showKept(reading) {
    const old = this.#tiles.get(reading.kind);
    if (old && String(old.dataset.taken) > reading.taken_at) return;
    if (["cancelled", "entered-in-error"].includes(reading.status)) {
      if (old?.dataset.reading !== reading.id) return;
      old.remove();
      this.#tiles.delete(reading.kind);
    } else this.#put(reading.kind, reading);
  }

  /** @param {Reading} reading */
  #showStream(reading) {
    const key = `stream:${reading.device_id ?? ""}:${reading.kind}`;
    clearTimeout(this.#silent.get(key));
    this.#put(key, reading);
    const end = () => {
      this.#tiles.get(key)?.remove();
      this.#tiles.delete(key);
      this.#silent.delete(key);
      this.#tellEmpty();
    };
    this.#silent.set(key, window.setTimeout(end, STREAM_SILENT_MS));
  }

  /**
   * @param {string} key
   * @param {Reading} reading
   */
  #put(key, reading) {
    const old = this.#tiles.get(key);
    const tile = makeTile(reading);
    if (old) old.replaceWith(tile);
    else this.list.append(tile);
    this.#tiles.set(key, tile);
  }

  #tellEmpty() {
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
  const state = [
    reading.status === "streaming" ? t("live") : "",
    reading.status === "preliminary" ? t("not yet accepted") : "",
    ...(shown.marks ?? []).map((mark) => mark.word),
  ];
  const note = [reading.status === "streaming" ? "" : shown.time, shown.device ?? "", shown.given ?? "", shown.note ?? ""];
  return el(
    "div",
    {
      class: `call-vital${reading.status === "streaming" ? " call-vital-live" : ""}${shown.level ? ` call-vital-${shown.level}` : ""}${reading.status === "preliminary" ? " call-vital-new" : ""}`,
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
    el("span", { class: "call-vital-state" }, state.filter(Boolean).join(" · ")),
    el("span", { class: "call-vital-note" }, note.filter(Boolean).join(" · ")),
  );
}
