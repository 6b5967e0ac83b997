/** The call page: the panel, the vitals strip, and the drawer with chat and images. */

import { startChat } from "../consult/chat.js";
import { startImages } from "../consult/images.js";
import { startInvitations } from "../consult/invite.js";
import { byId, find } from "../lib/dom.js";
import { watch } from "../lib/socket.js";
import { startPanel } from "./panel.js";
import { bindStill } from "./still.js";
import { VitalsStrip } from "./vitals.js";

const panel = startPanel();
startVitals();
if (panel) void startSide(panel);

/**
 * The drawers: chat and images, and whom to invite. A line that comes while the chat is closed is counted on its button.
 *
 * @param {import("./panel.js").CallPanel} of
 */
async function startSide(of) {
  const drawer = byId("call-drawer");
  const count = find('[data-drawer][aria-controls="call-drawer"] .count');
  let unread = 0;
  const show = () => {
    if (count) count.textContent = unread ? String(unread) : "";
  };
  drawer.addEventListener("drawer:toggle", () => {
    unread = 0;
    show();
  });
  const button = find('[data-drawer][aria-controls="call-invite"]');
  if (button) {
    const list = byId("invitations");
    startInvitations(button, list, of.consult);
    // The list opens with its drawer; closed by its own cross, the drawer closes the list.
    byId("call-invite").addEventListener("drawer:toggle", (event) => {
      if (!(/** @type {CustomEvent} */ (event).detail.open)) list.hidden = true;
    });
  }
  closeOthers(["call-drawer", "call-invite"]);
  void startChat(byId("call-chat"), of.consult, {
    onNew: () => {
      if (!drawer.hidden) return;
      unread += 1;
      show();
    },
  });
  bindStill(of, await startImages(byId("call-images"), of.consult));
}

/**
 * One drawer at a time: the picture needs the room.
 *
 * @param {string[]} ids
 */
function closeOthers(ids) {
  for (const id of ids) {
    document.getElementById(id)?.addEventListener("drawer:toggle", (event) => {
      if (!(/** @type {CustomEvent} */ (event).detail.open)) return;
      for (const other of ids) {
        const place = document.getElementById(other);
        if (other !== id && place && !place.hidden) find(`[data-drawer-close="${other}"]`)?.click();
      }
    });
  }
}

/** The vitals strip of this page, kept up to date. */
function startVitals() {
  const root = document.getElementById("call-vitals");
  const consult = find("[data-call]")?.dataset.consult;
  if (!root || !consult) return;
  const strip = new VitalsStrip(root, root.dataset.patient ?? null);
  const known = document.getElementById("call-readings")?.textContent;
  for (const reading of JSON.parse(known || "[]").reverse()) strip.show(reading);
  watch(`consult:${consult}`, {
    reading: (reading) => strip.show(reading),
    streaming: (reading) => strip.show(reading),
    waveform: (wave) => strip.wave(wave),
  });
}
