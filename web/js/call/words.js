/** What the call says to people: its states, its quality and what the program does about it, in plain sentences. */

import { t } from "../lib/i18n.js";

/** @typedef {import("./session.js").CallState} CallState */
/** @typedef {import("../media/peer.js").Quality} Quality */

/** @type {Record<string, "ok" | "warning" | "danger">} */
export const QUALITY_LEVELS = { good: "ok", fair: "warning", poor: "danger", "voice-only": "danger" };

/** @param {string} word */
export function qualityName(word) {
  switch (word) {
    case "good":
      return t("runs smoothly");
    case "fair":
      return t("fair");
    case "poor":
      return t("poor");
    default:
      return t("voice only");
  }
}

/**
 * What the program is doing about the network now; "" where nothing needs doing.
 *
 * @param {Quality} quality
 */
export function qualityDeed({ word, limitedBy, loss, sentHeight }) {
  if (word === "voice-only") return t("The network is too slow for a picture. The voice goes on; the picture comes back by itself.");
  if (limitedBy === "cpu" && sentHeight && sentHeight < 540) return t("This machine is busy. The picture is made smaller so that the voice stays clear.");
  if (limitedBy === "bandwidth" && sentHeight && sentHeight < 540) return t("The network is slow. The picture is made smaller so that the voice stays clear.");
  if (loss > 0.03) return t("The network loses data. What is lost is sent again.");
  return "";
}

/**
 * @param {CallState} state
 * @param {{ others: { name: string }[], expected: string, vehicle: boolean }} about
 */
export function stateSentence(state, { others, expected, vehicle }) {
  switch (state) {
    case "idle":
      return others.length ? t("%(names)s: in the call, waiting.", { names: others.map(({ name }) => name).join(", ") }) : "";
    case "joining":
      return t("Entering the call…");
    case "live":
      if (others.length) return "";
      return expected
        ? t("You are in the call. Waiting for %(name)s.", { name: expected })
        : t("You are in the call. Waiting for the others.");
    case "broken":
      return t("The connection broke. It is being restored; you need not do anything.");
    case "away":
      return vehicle
        ? t("The link to the county hospital is lost. The call goes on by itself when it is back.")
        : t("The connection to the hub is lost. The call goes on by itself when it is back.");
    case "replaced":
      return t("You have entered this call in another window. This one is paused.");
    case "ended":
      return t("The call is over.");
    case "refused":
      return t("You are no longer in this call.");
    default:
      return "";
  }
}

/** @param {string} role */
export function roleName(role) {
  switch (role) {
    case "specialist":
      return t("specialist");
    case "vehicle_doctor":
      return t("vehicle doctor");
    default:
      return "";
  }
}
