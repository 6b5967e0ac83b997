/**
 * Values that stream from devices worn by the person: shown while they come, kept only when somebody takes one.
 *
 * While a device may still be on the person before, the node sends no value of it, and why stands in its place.
 */

import { announce } from "../lib/announce.js";
import { find, fromTemplate } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { makeTile, showReading } from "../lib/tile.js";
import { toTile } from "./reading.js";

/** A stream that says nothing for so long has ended. */
export const STREAM_SILENT_MS = 5000;

/**
 * @typedef {object} Held
 * @property {string} encounter_id
 * @property {string} device_id
 * @property {string} device
 * @property {{ name: string, age: number }} patient  whom the devices measure for
 * @property {{ name: string, age: number } | null} on  on whom the device still is; null: it was put on too early
 */

/** The place for streams on the encounter page. */
export class Streams {
  /** @type {Map<string, { element: HTMLElement, held: boolean, silent: number }>} */ #shown = new Map();

  /**
   * @param {HTMLElement} place
   * @param {string} encounterId  streams of any other encounter are not shown
   */
  constructor(place, encounterId) {
    this.place = place;
    this.encounterId = encounterId;
  }

  /** @param {import("./reading.js").ReadingView} view */
  show(view) {
    if (view.encounter_id !== this.encounterId) return;
    const device = view.device_id ?? "";
    const shown = { ...toTile(view), id: `stream:${device}` };
    const tile = this.#keep(device, false, () => makeTile(shown));
    showReading(tile, shown);
    const again = find("[data-again]", tile);
    if (again) again.hidden = true;
  }

  /** @param {Held} held */
  hold(held) {
    if (held.encounter_id !== this.encounterId) return;
    this.#keep(held.device_id, true, () => {
      const words = { device: held.device, name: held.patient.name };
      const sentence = held.on
        ? t("%(device)s is still on %(other)s, %(age)s. Take it off and put it on %(name)s.", { ...words, other: held.on.name, age: held.on.age })
        : t("%(device)s was put on before the devices measured for %(name)s. Take it off and put it on again.", words);
      const notice = fromTemplate("stream-held", { sentence });
      find("[data-put-on]", notice)?.setAttribute("data-put-on", held.device_id);
      announce(sentence, { urgent: true });
      return notice;
    });
  }

  /**
   * The device is this person's now: nothing is held any more.
   *
   * @param {string} device
   */
  release(device) {
    const known = this.#shown.get(device);
    if (!known) return;
    clearTimeout(known.silent);
    known.element.remove();
    this.#shown.delete(device);
  }

  /** Nobody is measured here any more. */
  clear() {
    for (const device of [...this.#shown.keys()]) this.release(device);
  }

  /**
   * The element of a device, made anew where there is none of this sort, for as long as it does not fall silent.
   *
   * @param {string} device
   * @param {boolean} held
   * @param {() => HTMLElement} make
   */
  #keep(device, held, make) {
    if (this.#shown.get(device)?.held !== held) {
      this.release(device);
      document.getElementById("no-readings")?.remove();
    }
    const known = this.#shown.get(device);
    const element = known?.element ?? make();
    if (known) clearTimeout(known.silent);
    else this.place.append(element);
    const silent = window.setTimeout(() => this.release(device), STREAM_SILENT_MS);
    this.#shown.set(device, { element, held, silent });
    return element;
  }
}
