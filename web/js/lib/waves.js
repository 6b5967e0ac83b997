/**
 * Curves that devices send now, drawn as a patient monitor does: from left to right, over and over, a gap running ahead
 * of the pen. Several at once stand below each other, each with its name, scale and unit.
 *
 * Samples have numbers. The pen follows the numbers at the device's own rate, a little behind the newest, so packets
 * that come unevenly are drawn evenly. Samples that never came leave a gap of their length; nothing is drawn across it.
 */

import { el, find } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Waveform
 * @property {string} device_id
 * @property {string} kind
 * @property {number} rate      samples per second
 * @property {number} start     number of the first sample
 * @property {string} [unit]
 * @property {number} [step]    what one stands for, in `unit`
 * @property {number[]} samples whole numbers of steps
 * @property {string} [patient_id]
 */

/** How far the pen stays behind the newest sample, in seconds, and how far it may come to be when packets are late. */
const DELAY = 0.4;
const MOST_DELAY = 3;
const SETTLE_SECONDS = 5;
const GAP_SECONDS = 0.3;
/** Without samples for this long the device has stopped sending. */
const SILENCE_MS = 3000;

const PLETH_SECONDS = 6;
/** The ECG on its paper: 25 mm/s, 10 mm/mV, or half or a quarter of that where the curve is higher than the place. */
const MM_PER_SECOND = 25;
const GAINS = [10, 5, 2.5];
const ECG_MM_HIGH = 24;
const ECG_ZERO = 0.62;

/**
 * When which sample is to be drawn. No clock and no canvas of its own, so that it can be tested.
 */
export class Pacer {
  /** Number of the next sample expected; below it everything has come or is lost. */
  next = 0;
  #anchorIndex = 0;
  #anchorTime = 0;
  #leastLead = Infinity;
  #windowFrom = 0;

  /** @param {number} rate */
  constructor(rate) {
    this.rate = rate;
  }

  /**
   * @param {number} index
   * @param {number} now  ms
   */
  begin(index, now) {
    this.next = index;
    this.#anchor(index, now + DELAY * 1000, now);
  }

  /**
   * Number of the sample that the pen has reached.
   *
   * @param {number} now
   */
  due(now) {
    return this.#anchorIndex + Math.floor(((now - this.#anchorTime) / 1000) * this.rate);
  }

  /**
   * Samples `start` to `end` have come. A packet that is late makes the delay longer, so that the next one as late is
   * drawn without a stop; when all have come early for some seconds the delay is cut again.
   *
   * @param {number} start
   * @param {number} end
   * @param {number} now
   */
  arrived(start, end, now) {
    this.next = end;
    const lead = (start - this.due(now)) / this.rate;
    if (lead < 0) this.#anchor(start, now + 100, now);
    else if ((end - this.due(now)) / this.rate > MOST_DELAY) this.#anchor(end, now + DELAY * 1000, now);
    else {
      this.#leastLead = Math.min(this.#leastLead, lead);
      if (now - this.#windowFrom < SETTLE_SECONDS * 1000) return;
      if (this.#leastLead > DELAY) this.#anchorTime -= (this.#leastLead - DELAY / 2) * 1000;
      this.#leastLead = Infinity;
      this.#windowFrom = now;
    }
  }

  /**
   * @param {number} index
   * @param {number} time  when this sample is to be drawn
   * @param {number} now
   */
  #anchor(index, time, now) {
    this.#anchorIndex = index;
    this.#anchorTime = time;
    this.#leastLead = Infinity;
    this.#windowFrom = now;
  }
}

/** Draws one wave on a canvas. */
export class WaveTrace {
  /** @type {(number | null)[]} */ #queue = [];
  /** Number of the first sample in the queue. */ #queueFrom = 0;
  /** @type {Pacer} */ #pacer = new Pacer(0);
  #lastAt = -Infinity;
  #origin = 0;
  #frame = 0;
  #width = 0;
  #height = 0;
  /** @type {number | null} */ #previousY = null;
  /** Of the sweep that is drawn and of the one before: what the curve's height is chosen by. */
  #low = Infinity;
  #high = -Infinity;
  #shownLow = 0;
  #shownHigh = 1;
  #gain = 0;
  /** @type {HTMLCanvasElement | null} */ #paper = null;
  /** @type {() => void} */ #onSilence;
  /** @type {(scale: string) => void} */ #onScale;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {boolean} isEcg  whether it is drawn on ECG paper
   * @param {{ onSilence?: () => void, onScale?: (scale: string) => void }} [told]
   */
  constructor(canvas, isEcg, told = {}) {
    this.canvas = canvas;
    this.isEcg = isEcg;
    this.#onSilence = told.onSilence ?? (() => {});
    this.#onScale = told.onScale ?? (() => {});
  }

  /** @param {Waveform} wave */
  add({ rate, start, samples, step = 1 }) {
    if (!(rate > 0) || !samples.length) return;
    const now = performance.now();
    const end = start + samples.length;
    const pacer = this.#pacer;
    const begins = rate !== pacer.rate || now - this.#lastAt > SILENCE_MS || start < pacer.next - rate || start > pacer.next + 10 * rate;
    if (begins) this.#begin(rate, start, samples.map((one) => one * step), now);
    else if (end <= pacer.next) return;
    this.#lastAt = now;
    for (let lost = this.#pacer.next; lost < start; lost += 1) this.#queue.push(null);
    for (const sample of samples.slice(Math.max(0, this.#pacer.next - start))) this.#queue.push(sample * step);
    this.#pacer.arrived(start, end, now);
    // A page in the background draws nothing: what it missed is not drawn later.
    const most = Math.ceil(rate * 2 * PLETH_SECONDS);
    if (this.#queue.length > most) this.#skip(this.#queue.length - most);
    if (!this.#frame) this.#frame = requestAnimationFrame((time) => this.#draw(time));
  }

  /**
   * @param {number} rate
   * @param {number} start
   * @param {number[]} values
   * @param {number} now
   */
  #begin(rate, start, values, now) {
    this.#pacer = new Pacer(rate);
    this.#pacer.begin(start, now);
    this.#queue = [];
    this.#queueFrom = this.#origin = start;
    this.#low = Math.min(...values);
    this.#high = Math.max(...values);
    this.#width = 0;
    this.#fit();
  }

  /** @param {number} count */
  #skip(count) {
    this.#queue.splice(0, count);
    this.#queueFrom += count;
    this.#previousY = null;
  }

  /** Take the canvas's size as it is now; a new size begins with an empty paper. */
  #fit() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.#width === width && this.#height === height) return;
    this.#width = this.canvas.width = width;
    this.#height = this.canvas.height = height;
    this.#origin = this.#queueFrom;
    this.#previousY = null;
    this.#choose();
    const paper = this.#paper;
    if (paper) this.canvas.getContext("2d")?.drawImage(paper, 0, 0);
  }

  /** Canvas pixels in a millimetre of ECG paper. */
  get #mm() {
    return this.#height / ECG_MM_HIGH;
  }

  /** Canvas pixels from one sample to the next. */
  get #step() {
    return this.isEcg ? (this.#mm * MM_PER_SECOND) / this.#pacer.rate : this.#width / (this.#pacer.rate * PLETH_SECONDS);
  }

  /** Samples that fit in one sweep. */
  get #sweep() {
    return Math.max(1, Math.floor(this.#width / this.#step));
  }

  /** At the left edge the height of the curve is chosen anew, by what the last sweep held. */
  #choose() {
    if (this.#low > this.#high) return;
    this.#shownLow = this.#low;
    this.#shownHigh = Math.max(this.#high, this.#low + 1e-6);
    this.#low = Infinity;
    this.#high = -Infinity;
    if (!this.isEcg) return;
    const above = ECG_MM_HIGH * ECG_ZERO - 1;
    const below = ECG_MM_HIGH * (1 - ECG_ZERO) - 1;
    const fits = GAINS.find((gain) => this.#shownHigh * gain <= above && -this.#shownLow * gain <= below);
    const gain = fits ?? GAINS[GAINS.length - 1];
    if (!this.#paper || this.#paper.width !== this.#width || this.#paper.height !== this.#height) this.#paper = this.#makePaper();
    if (gain === this.#gain) return;
    this.#gain = gain;
    this.#onScale(t("%(speed)s mm/s, %(gain)s mm/mV", { speed: MM_PER_SECOND, gain }));
  }

  #makePaper() {
    const paper = document.createElement("canvas");
    paper.width = this.#width;
    paper.height = this.#height;
    const context = paper.getContext("2d");
    if (!context) return null;
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--line").trim() || "#888";
    const finest = this.#mm >= 3 ? 1 : 5;
    for (let mm = 0; mm * this.#mm <= Math.max(this.#width, this.#height); mm += finest) {
      const at = Math.round(mm * this.#mm) + 0.5;
      context.globalAlpha = mm % 5 ? 0.35 : 1;
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, this.#height);
      context.moveTo(0, at);
      context.lineTo(this.#width, at);
      context.stroke();
    }
    return paper;
  }

  /** @param {number} time */
  #draw(time) {
    this.#frame = 0;
    this.#fit();
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const count = Math.min(Math.max(this.#pacer.due(time) - this.#queueFrom, 0), this.#queue.length);
    // After a stall more may be due than a sweep holds: what would be wiped at once is not drawn.
    if (count > this.#sweep) this.#skip(count - this.#sweep);
    if (count > 0) this.#stroke(context, this.#queue.splice(0, Math.min(count, this.#sweep)));
    if (performance.now() - this.#lastAt > SILENCE_MS && !this.#queue.length) {
      this.#onSilence();
      return;
    }
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
  }

  /** @param {number} value */
  #y(value) {
    if (this.isEcg) return this.#height * ECG_ZERO - value * this.#gain * this.#mm;
    const margin = this.#height * 0.1;
    return this.#height - margin - ((value - this.#shownLow) / (this.#shownHigh - this.#shownLow)) * (this.#height - 2 * margin);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {(number | null)[]} samples  less than a sweep
   */
  #stroke(context, samples) {
    const place = (this.#queueFrom - this.#origin) % this.#sweep;
    const untilEdge = this.#sweep - place;
    this.#run(context, place, samples.slice(0, untilEdge));
    if (samples.length > untilEdge) this.#run(context, 0, samples.slice(untilEdge));
  }

  /**
   * Draw a run that does not reach over the edge, and wipe what the last sweep left ahead of it.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {number} place  in the sweep, counted in samples
   * @param {(number | null)[]} samples
   */
  #run(context, place, samples) {
    const step = this.#step;
    const ahead = Math.max(2 * step, GAP_SECONDS * this.#pacer.rate * step);
    if (place === 0) {
      this.#previousY = null;
      this.#choose();
    }
    this.#wipe(context, place === 0 ? 0 : (place - 1) * step + ahead, (place + samples.length) * step + ahead);
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.lineWidth = Math.max(1.5, this.#height / (this.isEcg ? 60 : 40));
    context.lineJoin = "round";
    context.beginPath();
    samples.forEach((sample, at) => {
      if (sample === null) {
        this.#previousY = null;
        return;
      }
      this.#low = Math.min(this.#low, sample);
      this.#high = Math.max(this.#high, sample);
      // Nothing is cut off: a curve without a scale of its own is drawn flatter from here on.
      this.#shownLow = Math.min(this.#shownLow, this.#low);
      this.#shownHigh = Math.max(this.#shownHigh, this.#high);
      const x = (place + at) * step;
      const y = this.#y(sample);
      if (this.#previousY === null) context.moveTo(x, y);
      else if (at === 0) context.moveTo(x - step, this.#previousY);
      context.lineTo(x, y);
      this.#previousY = y;
    });
    context.stroke();
    this.#queueFrom += samples.length;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} left
   * @param {number} right
   */
  #wipe(context, left, right) {
    const from = Math.floor(left);
    const width = Math.min(Math.ceil(right), this.#width) - from;
    if (width <= 0) return;
    context.clearRect(from, 0, width, this.#height);
    if (this.#paper) context.drawImage(this.#paper, from, 0, width, this.#height, from, 0, width, this.#height);
  }
}

/** All waves of one person, one below the other; each vanishes when its device stops sending. */
export class WaveBoard {
  /** @type {Map<string, { row: HTMLElement, trace: WaveTrace }>} */ #rows = new Map();

  /**
   * @param {HTMLElement} root  hidden while there is no wave
   * @param {string | null} patientId  waves of anybody else are not drawn
   */
  constructor(root, patientId) {
    this.root = root;
    this.patientId = patientId;
  }

  /** @param {Waveform} wave */
  add(wave) {
    if (this.patientId && wave.patient_id && wave.patient_id !== this.patientId) return;
    const key = `${wave.device_id} ${wave.kind}`;
    const known = this.#rows.get(key) ?? this.#make(key, wave);
    this.root.hidden = false;
    known.trace.add(wave);
  }

  /** The devices measure for somebody else now. */
  clear() {
    for (const key of [...this.#rows.keys()]) this.#remove(key);
  }

  /**
   * @param {string} key
   * @param {Waveform} wave
   */
  #make(key, wave) {
    const isEcg = wave.kind === "ecg";
    const name = isEcg ? t("ECG") : t("Plethysmogram");
    const canvas = el("canvas", { role: "img", "aria-label": name });
    const scale = el("span", { class: "wave-scale" }, isEcg ? "mV" : t("no unit"));
    const row = el("figure", { class: `wave wave-${wave.kind}`, "data-wave": wave.kind }, el("figcaption", {}, el("b", {}, name), " ", scale), canvas);
    const onScale = (/** @type {string} */ words) => {
      scale.textContent = words;
    };
    const trace = new WaveTrace(/** @type {HTMLCanvasElement} */ (canvas), isEcg, { onScale, onSilence: () => this.#remove(key) });
    // The ECG first, whichever device spoke first.
    if (isEcg) this.root.prepend(row);
    else this.root.append(row);
    this.root.hidden = false; // a canvas in a hidden place has no size
    const made = { row, trace };
    this.#rows.set(key, made);
    return made;
  }

  /** @param {string} key */
  #remove(key) {
    this.#rows.get(key)?.row.remove();
    this.#rows.delete(key);
    this.root.hidden = !find("[data-wave]", this.root);
  }
}
