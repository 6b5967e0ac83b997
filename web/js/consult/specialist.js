/** A consult at the hub: the call, the readings as they come, the record, and the opinion being written. */

import { all, byId, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { bindKeys } from "../lib/keys.js";
import { addTile, showReading } from "../lib/tile.js";
import { startPanel } from "../call/panel.js";
import { bindStill } from "../call/still.js";
import { VitalsStrip } from "../call/vitals.js";
import { toTile } from "../vehicle/reading.js";
import { startChat } from "./chat.js";
import { startImages } from "./images.js";
import { startInvitations } from "./invite.js";
import { startOpinion } from "./opinion.js";
import { followConsult, takeStep } from "./page.js";
import { drawTrends } from "./trends.js";

const page = byId("consult");
const opinion = startOpinion();
const strip = startStrip();
const id = followConsult({
  isWriting: () => opinion?.isUnsaved ?? false,
  handlers: {
    reading: showLive,
    streaming: (reading) => strip?.show(reading),
    waveform: (wave) => strip?.wave(wave),
  },
});
const live = JSON.parse(byId("live").textContent || "{}");

drawTrends(byId("trends"), live.trends, live.targets);
const panel = startPanel();
startParts();
startKeys();

/** The readings beside the picture, as on the call page. */
function startStrip() {
  const root = document.getElementById("call-vitals");
  if (!root) return null;
  const found = new VitalsStrip(root, root.dataset.patient ?? null);
  for (const reading of JSON.parse(document.getElementById("call-readings")?.textContent || "[]").reverse()) found.show(reading);
  return found;
}

/** @param {import("../vehicle/reading.js").ReadingView} reading */
function showLive(reading) {
  if (reading.patient_id !== page.dataset.patient) return;
  strip?.show(/** @type {any} */ (reading));
  const list = byId("tiles");
  const known = find(`[data-kind="${CSS.escape(reading.kind)}"]`, list);
  if (reading.status === "cancelled" || reading.status === "entered-in-error") {
    if (known?.dataset.reading === reading.id) known.remove();
    return;
  }
  // An older reading that was placed later must not stand for the newest one.
  if (known && known.dataset.reading !== reading.id && String(known.dataset.taken) > reading.taken_at) return;
  const shown = { ...toTile(reading), sentence: reading.status === "preliminary" ? t("not yet accepted") : null };
  if (known) showReading(known, shown);
  else addTile(list, shown);
  byId("no-readings").hidden = true;
}

function startParts() {
  const chat = document.getElementById("chat");
  const images = document.getElementById("images");
  if (chat) void startChat(chat, id, { onCount: (count) => setCount("tab-chat", count), onNew: () => mark("tab-chat") });
  if (images) {
    const started = startImages(images, id, { onCount: (count) => setCount("tab-images", count) });
    if (panel) void started.then((one) => bindStill(panel, one));
  }
  const button = document.getElementById("invite");
  if (button) startInvitations(button, byId("invitations"), id);
}

/**
 * @param {string} tab
 * @param {number} count
 */
function setCount(tab, count) {
  const button = byId(`tab-${tab}`);
  const place = find(".count", button) ?? button.appendChild(Object.assign(document.createElement("span"), { className: "count" }));
  place.textContent = String(count);
}

/** @param {string} tab */
function mark(tab) {
  const button = byId(`tab-${tab}`);
  if (button.getAttribute("aria-selected") === "true") return;
  button.classList.add("tab-new");
  button.addEventListener("click", () => button.classList.remove("tab-new"), { once: true });
}

function startKeys() {
  bindKeys({
    a: () => {
      const form = all("form[data-step=accept]")[0];
      if (form instanceof HTMLFormElement) void takeStep(form, find("[type=submit]", form));
    },
    q: () => location.assign("/queue"),
  });
}
