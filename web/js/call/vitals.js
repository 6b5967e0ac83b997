/**
 * The vitals strip of the call: the last reading of each kind, and the wave that a device sends now, drawn as a patient
 * monitor does: from left to right, over and over, a gap running ahead of the pen.
 */

import { el, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toTile } from "../vehicle/reading.js";

const SECONDS_SHOWN = 6;
/** How far the pen stays behind the newest sample, so that packets that come late do not make it stop. */
const DELAY = 0.4;
const GAP_SECONDS = 0.3;
/** Without samples for this long the device has stopped sending. */
const SILENCE_MS = 3000;

/**
 * @typedef {object} Waveform
 * @property {string} device_id
 * @property {string} kind
 * @property {number} rate      samples per second
 * @property {number} start     index of the first sample
 * @property {string} [unit]
 * @property {number[]} samples
 */

/** @typedef {import("../vehicle/reading.js").ReadingView} Reading */

/** Draws one wave on a canvas. */
export class WaveTrace {
  /** @type {number[]} */ #queue = [];
  #rate = 0;
  #drawn = 0;
  #startedAt = 0;
  #lastAt = 0;
  #lastStart = -1;
  #low = Infinity;
  #high = -Infinity;
  #frame = 0;
  /** @type {number | null} */ #previousY = null;
  /** @type {() => void} */ #onSilence;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onSilence  called when the device has stopped sending
   */
  constructor(canvas, onSilence) {
    this.canvas = canvas;
    this.#onSilence = onSilence;
  }

  /** @param {Waveform} wave */
  add({ rate, start, samples }) {
    if (start === this.#lastStart || !(rate > 0) || !samples.length) return;
    this.#lastStart = start;
    const now = performance.now();
    // A new device, or one that was silent: the pen starts anew, a little behind.
    if (rate !== this.#rate || now - this.#lastAt > SILENCE_MS) this.#begin(rate, now);
    this.#lastAt = now;
    for (const sample of samples) {
      this.#queue.push(sample);
      this.#low = Math.min(this.#low, sample);
      this.#high = Math.max(this.#high, sample);
    }
    // A page in the background draws nothing: what it missed is not drawn later.
    const most = Math.ceil(rate * SECONDS_SHOWN);
    if (this.#queue.length > most) {
      this.#drawn += this.#queue.length - most;
      this.#queue.splice(0, this.#queue.length - most);
    }
    if (!this.#frame) this.#frame = requestAnimationFrame((time) => this.#draw(time));
  }

  /**
   * @param {number} rate
   * @param {number} now
   */
  #begin(rate, now) {
    this.#rate = rate;
    this.#queue = [];
    this.#drawn = 0;
    this.#startedAt = now + DELAY * 1000;
    this.#low = Infinity;
    this.#high = -Infinity;
    this.#previousY = null;
    const { width, height } = this.#fit();
    this.canvas.getContext("2d")?.clearRect(0, 0, width, height);
  }

  #fit() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.#previousY = null;
    }
    return { width, height };
  }

  /** @param {number} time */
  #draw(time) {
    this.#frame = 0;
    const { width, height } = this.#fit();
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const due = Math.floor(((time - this.#startedAt) / 1000) * this.#rate) - this.#drawn;
    const count = Math.min(Math.max(due, 0), this.#queue.length);
    if (due > this.#queue.length + this.#rate) {
      // The samples stopped coming for a while: wait for them instead of rushing through them.
      this.#startedAt = time + DELAY * 1000 - (this.#drawn / this.#rate) * 1000;
    }
    if (count > 0) this.#stroke(context, this.#queue.splice(0, count), width, height);
    if (performance.now() - this.#lastAt > SILENCE_MS && !this.#queue.length) {
      this.#onSilence();
      return;
    }
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number[]} samples
   * @param {number} width
   * @param {number} height
   */
  #stroke(context, samples, width, height) {
    const step = width / (this.#rate * SECONDS_SHOWN);
    const span = this.#high - this.#low || 1;
    const margin = height * 0.1;
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.lineWidth = Math.max(2, height / 40);
    context.lineJoin = "round";
    for (const sample of samples) {
      const x = (this.#drawn * step) % width;
      const y = height - margin - ((sample - this.#low) / span) * (height - 2 * margin);
      // Ahead of the pen's own width, or it would wipe away half of what it draws.
      context.clearRect(x + context.lineWidth, 0, Math.max(step, GAP_SECONDS * this.#rate * step), height);
      if (x < step) context.clearRect(0, 0, context.lineWidth, height);
      if (this.#previousY !== null && x >= step) {
        context.beginPath();
        context.moveTo(x - step, this.#previousY);
        context.lineTo(x, y);
        context.stroke();
      }
      this.#previousY = y;
      this.#drawn += 1;
    }
  }
}

/** The strip: readings by kind, newest value of each, and one wave. */
export class VitalsStrip {
  /** @type {Map<string, HTMLElement>} */ #tiles = new Map();

  /**
   * @param {HTMLElement} root  has [data-vitals-list], [data-vitals-empty], [data-wave] with a <canvas>
   * @param {string | null} patientId  readings of anybody else are not shown
   */
  constructor(root, patientId) {
    this.patientId = patientId;
    this.list = /** @type {HTMLElement} */ (find("[data-vitals-list]", root));
    this.empty = find("[data-vitals-empty]", root);
    this.place = find("[data-wave]", root);
    const canvas = find("canvas", root);
    this.trace =
      canvas instanceof HTMLCanvasElement
        ? new WaveTrace(canvas, () => {
            if (this.place) this.place.hidden = true;
          })
        : null;
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

  /** @param {Waveform} wave */
  wave(wave) {
    if (!this.trace) return;
    if (this.place) this.place.hidden = false;
    this.trace.add(wave);
  }
}

/** @param {Reading} reading */
function makeTile(reading) {
  const shown = toTile(reading);
  const notes = [
    reading.status === "streaming" ? t("live") : shown.time,
    reading.status === "preliminary" ? t("not yet accepted") : "",
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
