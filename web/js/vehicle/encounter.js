/** The encounter page: steps without leaving the page, notes kept at every pause, readings as they arrive. */

import { announce } from "../lib/announce.js";
import { getJson, postJson, showFieldError } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { all, byId, find, status } from "../lib/dom.js";
import { Draft, readForm } from "../lib/draft.js";
import { t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";
import { addTile, showReading } from "../lib/tile.js";
import { toast } from "../lib/toast.js";
import { WaveBoard } from "../lib/waves.js";
import { startNotes } from "./notes.js";
import { label, toTile } from "./reading.js";
import { Streams } from "./streams.js";
import { keepTray } from "./tray_beside.js";

/** @typedef {import("./reading.js").ReadingView} ReadingView */

const page = byId("encounter");
const encounterId = page.dataset.encounter ?? "";
const patientName = page.dataset.patient ?? "";
const tiles = byId("tiles");
const waiting = byId("waiting");
const readings = byId("readings");
const waves = new WaveBoard(byId("waves"), page.dataset.patientId ?? null);
const streams = new Streams(byId("streams"), encounterId);

/** @param {unknown} problem */
function say(problem) {
  const sentence = problem instanceof Error ? problem.message : String(problem);
  toast(sentence, { stays: true });
}

/** @param {string} step */
function goTo(step) {
  for (const section of all("[data-section]")) section.hidden = section.dataset.section !== step;
  for (const group of all("[data-bottom]")) group.hidden = group.dataset.bottom !== step;
  for (const link of all("a.step", page)) {
    const current = new URL(link.getAttribute("href") ?? "", location.href).searchParams.get("step") === step;
    link.classList.toggle("step-current", current);
    if (current) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `${page.dataset.url}?step=${step}`);
  window.scrollTo({ top: 0 });
  find(`[data-section="${step}"] h2`)?.scrollIntoView({ block: "nearest" });
}

function startSteps() {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a.step, a[data-next]") : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    goTo(new URL(link.href).searchParams.get("step") ?? "reason");
  });
}

/**
 * A value that asks to be accepted says whose it is taken for.
 *
 * @param {ReadingView} view
 */
function tileOf(view) {
  const person = view.status === "preliminary" ? view.patient : null;
  return { ...toTile(view), sentence: person ? t("For %(name)s, %(age)s", person) : null };
}

/** @param {ReadingView} view */
function show(view) {
  if (view.encounter_id !== encounterId) return;
  const known = find(`[data-reading="${CSS.escape(view.id)}"]`, readings);
  if (view.status === "cancelled" || view.status === "entered-in-error") {
    known?.remove();
    return;
  }
  if (known) {
    showReading(known, tileOf(view));
    if (view.status !== "preliminary" && known.parentElement === waiting) tiles.prepend(known);
    return;
  }
  const empty = all(`.tile-empty[data-kind="${CSS.escape(view.kind)}"]`, tiles)[0];
  empty?.remove();
  document.getElementById("no-readings")?.remove();
  if (view.status === "preliminary") {
    addTile(waiting, tileOf(view));
    readings.scrollTop = 0;
  } else addTile(tiles, tileOf(view));
  announce(t("New reading: %(label)s %(value)s", { label: label(view), value: view.text }));
}

function startTiles() {
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-accept], [data-again], [data-put-on]") : null;
    if (!(button instanceof HTMLElement)) return;
    const id = button.dataset.accept ?? button.dataset.again ?? "";
    const worn = button.dataset.putOn;
    if (!id && !worn) return;
    setBusy(button);
    try {
      if (worn) {
        await postJson(`/encounters/${encounterId}/put-on`, { device_id: worn });
        streams.release(worn);
        return;
      }
      if (id.startsWith("stream:")) {
        show((await postJson(`/encounters/${encounterId}/streamed`, { device_id: id.slice(7) })).reading);
        return;
      }
      const step = button.dataset.accept ? "accept" : "again";
      const view = (await postJson(`/readings/${id}/${step}`)).reading;
      show(view);
      if (step === "again") await measureAgain(view);
    } catch (problem) {
      say(problem);
    } finally {
      setIdle(button);
    }
  });
}

/** @param {ReadingView} view */
async function measureAgain(view) {
  const row = find(`[data-device="${CSS.escape(view.device_id ?? "")}"]`);
  const form = row ? find("[data-part='measure'] form", row) : null;
  if (form instanceof HTMLFormElement) await postJson(form.action);
  else toast(t("Put away. Start the measurement at the device."));
}

function startDevices() {
  page.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.querySelector("[data-command]")) return;
    event.preventDefault();
    const button = /** @type {HTMLElement} */ (form.querySelector("[data-command]"));
    setBusy(button);
    try {
      await postJson(form.action);
    } catch (problem) {
      say(problem);
    } finally {
      setIdle(button);
    }
  });
}

/** @param {{ device_id: string, state: string, state_name: string, battery: number | null, battery_low: boolean, sentence: { en: string, zh: string } | null }} device */
function showDevice(device) {
  const row = find(`[data-device="${CSS.escape(device.device_id)}"]`, page);
  if (!row) return;
  const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
  const sentence = find("[data-part='sentence']", row);
  if (sentence) sentence.textContent = device.sentence?.[language] || t(device.state_name);
  const battery = find("[data-part='battery']", row);
  if (battery) {
    battery.hidden = !device.battery_low;
    battery.replaceChildren(status("warning", t("Battery low: %(percent)s %%", { percent: device.battery ?? 0 })));
  }
  const measuring = device.state === "measuring";
  const measure = find("[data-part='measure']", row);
  const cancel = find("[data-part='cancel']", row);
  if (measure) measure.hidden = measuring;
  if (cancel) cancel.hidden = !measuring;
}

/** @param {{ encounter_id: string | null, patient: { name: string, age: number } | null }} target */
function showMeasuring(target) {
  const place = document.getElementById("measuring");
  if (!place) return;
  const mine = target.encounter_id === encounterId;
  for (const part of all("[data-part]", place)) part.hidden = (part.dataset.part === "mine") !== mine;
  const sentence = byId("measuring-other");
  const known = sentence.textContent;
  sentence.textContent = target.patient
    ? t("The devices measure for %(name)s, %(age)s now. Readings do not come here.", target.patient)
    : t("The devices measure for nobody now. Readings wait in the tray.");
  if (!mine && sentence.textContent !== known) {
    streams.clear();
    waves.clear();
    announce(sentence.textContent, { urgent: true });
  }
}

function startMeasuring() {
  const form = find("#measuring form");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await postJson(/** @type {HTMLFormElement} */ (form).action);
      toast(t("The devices measure for %(name)s now.", { name: patientName }));
    } catch (problem) {
      say(problem);
    }
  });
}

function startEntry() {
  const form = document.getElementById("entry");
  if (!(form instanceof HTMLFormElement)) return;
  const draft = new Draft(`entry:${encounterId}`);
  draft.attach(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("[type=submit]", form);
    if (button) setBusy(button);
    const typed = readForm(form);
    for (const name of Object.keys(typed)) showFieldError(name, null);
    try {
      const answer = await postJson(form.action, typed);
      for (const view of answer.readings) show(view);
      form.reset();
      draft.confirmed();
    } catch (problem) {
      const field = /** @type {{ field?: string }} */ (problem).field;
      if (!field || !showFieldError(field, /** @type {Error} */ (problem).message)) say(problem);
      else find(`[name="${CSS.escape(field)}"]`, form)?.focus();
    } finally {
      if (button) setIdle(button);
    }
  });
}

/** What arrived before the page watched, or while the connection was away: shown without losing what is being written. */
async function catchUp() {
  try {
    const answer = await getJson(`/encounters/${encounterId}/readings`);
    for (const view of answer.readings.reverse()) show(view);
  } catch (problem) {
    say(problem);
  }
}

startSteps();
startTiles();
startDevices();
startMeasuring();
startEntry();
startNotes(page, goTo);
watch(`encounter:${encounterId}`, {
  reading: show,
  streaming: (view) => streams.show(view),
  "stream:held": (held) => streams.hold(held),
  waveform: (wave) => waves.add(wave),
  joined: catchUp,
});
watch("node", {
  device: showDevice,
  measuring: showMeasuring,
  "unassigned:changed": keepTray(page.dataset.url ?? "", patientName),
});
