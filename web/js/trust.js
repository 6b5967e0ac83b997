/**
 * Says whether this browser trusts the node: a page from plain HTTP asks the node over HTTPS, and gets an answer only
 * if the browser accepts the certificate. Asked again when the person comes back from the device's settings.
 */

import { setIcon } from "./lib/dom.js";
import { t } from "./lib/i18n.js";

const PATIENCE = 8000;

const state = /** @type {HTMLElement} */ (document.getElementById("trust-state"));
const next = /** @type {HTMLElement} */ (document.getElementById("trust-next"));
const steps = /** @type {HTMLElement} */ (document.getElementById("steps"));
let asking = false;

/** An iPad in its desktop view calls itself a Mac; no Mac has a touch screen. */
function correctPlatform() {
  const chosen = new URLSearchParams(location.search).has("platform");
  if (!chosen && steps.dataset.platform === "macos" && navigator.maxTouchPoints > 1) location.replace("?platform=ios");
}

/** @returns {Promise<boolean>} */
async function trusts() {
  try {
    const answer = await fetch(state.dataset.probe ?? "", {
      mode: "cors",
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
    return answer.ok;
  } catch {
    return false; // the browser tells a page no more than that: not trusted, or not reached
  }
}

/**
 * @param {"ok" | "warning"} level
 * @param {string} text
 */
function show(level, text) {
  const notice = /** @type {HTMLElement} */ (state.querySelector(".notice"));
  notice.className = `notice notice-${level}`;
  const picture = notice.querySelector("svg");
  if (picture) setIcon(picture, `mark-${level}`);
  const words = notice.querySelector("p");
  if (words) words.textContent = text;
}

async function look() {
  // A certificate that lacks this page's name is refused whatever the browser trusts: the page says so already.
  if (asking || state.dataset.uncovered) return;
  asking = true;
  const trusted = await trusts();
  state.dataset.trusted = String(trusted);
  next.hidden = !trusted;
  if (!trusted) show("warning", t("Not yet: this browser does not trust the node. Do the steps below."));
  else if (location.protocol === "https:")
    show("ok", t("This page came over HTTPS. If the browser gave no warning before, everything is in order."));
  else show("ok", t("This browser trusts the node. Camera and microphone can be used."));
  asking = false;
}

correctPlatform();
document.getElementById("trust-again")?.addEventListener("click", () => void look());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void look();
});
void look();
