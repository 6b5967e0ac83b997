/** Readings as the node shows them (services/observation_views.py), turned into what tiles draw. */

import { formatDate, formatMoment, t } from "../lib/i18n.js";

/**
 * @typedef {object} ReadingView
 * @property {string} id
 * @property {string} kind
 * @property {string} name
 * @property {{ key: string, label: string, value: string, unit: string }[]} components
 * @property {string} text
 * @property {string} unit
 * @property {string} [given]  what the device shows, where its unit is another one
 * @property {string} [note]  what came with it, such as the name in an analyser's message
 * @property {string} taken_at
 * @property {string} status  preliminary, final, cancelled, entered-in-error, streaming
 * @property {{ label: string, level: "warning" | "danger" }[]} marks
 * @property {{ label: string }[]} flags
 * @property {string} [device]
 * @property {string} [device_id]
 * @property {string} [author]
 * @property {string | null} [encounter_id]
 * @property {string | null} [patient_id]
 * @property {{ id: string, name: string, age: number, sex: string } | null} [patient]
 * @property {ReadingView | null} [previous]
 * @property {import("../lib/tile.js").Target | null} [target]
 */

const PULSE_BESIDE = ["blood_pressure", "spo2"];

/**
 * @param {ReadingView} view
 * @returns {import("../lib/tile.js").Reading}
 */
export function toTile(view) {
  const levels = view.marks.map((mark) => mark.level);
  const pulse = PULSE_BESIDE.includes(view.kind) ? view.components.find((one) => one.key === "pulse_rate") : undefined;
  return {
    id: view.id,
    kind: view.kind,
    label: label(view),
    value: view.text,
    unit: unit(view.unit),
    taken_at: view.taken_at,
    time: formatMoment(view.taken_at),
    status: view.status === "streaming" ? "preliminary" : view.status === "entered-in-error" ? "cancelled" : /** @type {any} */ (view.status),
    level: levels.includes("danger") ? "danger" : levels.includes("warning") ? "warning" : "",
    device: view.device || (view.author ? t("typed in by %(name)s", { name: view.author }) : ""),
    given: view.given ? t("The device shows %(given)s", { given: view.given }) : "",
    note: view.note ? t("Sent with it: %(note)s", { note: view.note }) : "",
    extra: pulse ? { label: t(pulse.label), value: pulse.value, unit: unit(pulse.unit) } : null,
    previous: view.previous
      ? { value: view.previous.text, unit: unit(view.previous.unit), date: formatDate(view.previous.taken_at) }
      : null,
    marks: marks(view),
    target: view.target ? { ...view.target, text: t("Target %(limit)s", { limit: view.target.text }) } : null,
  };
}

/** @param {ReadingView} view */
export function label(view) {
  return view.kind === "glucose" && view.components.length ? t(view.components[0].label) : t(view.name);
}

/**
 * Only "/min" is a word in some languages.
 *
 * @param {string} symbol
 */
export function unit(symbol) {
  return symbol === "/min" ? t("/min") : symbol;
}

/**
 * What is odd about it, each said once.
 *
 * @param {ReadingView} view
 * @returns {{ level: "warning" | "danger", word: string }[]}
 */
function marks(view) {
  /** @type {{ level: "warning" | "danger", word: string }[]} */
  const all = view.marks.map((mark) => ({ level: mark.level, word: t(mark.label) }));
  for (const flag of view.flags) all.push({ level: "warning", word: t(flag.label) });
  return all.filter((one, at) => all.findIndex((other) => other.word === one.word) === at);
}
