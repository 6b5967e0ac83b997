/** The call page: the panel, the vitals strip, and the drawer with chat and images. */

import { find } from "../lib/dom.js";
import { watch } from "../lib/socket.js";
import { startPanel } from "./panel.js";
import { VitalsStrip } from "./vitals.js";

startPanel();

/** The vitals strip of this page, kept up to date. */
export function startVitals() {
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

startVitals();
