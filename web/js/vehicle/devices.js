/** The device cards: how each is now, tests, and devices as a search finds them. */

import { announce } from "../lib/announce.js";
import { postJson } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { all, byId, find, fromTemplate, status } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";
import { toast } from "../lib/toast.js";
import { label, unit } from "./reading.js";

/** @typedef {"danger" | "warning" | "ok" | "off" | "info" | "live" | "ended"} Level */

/** @type {Record<string, Level>} */
const LEVEL = { searching: "off", connected: "info", idle: "ok", measuring: "live", failed: "danger", off: "ended" };
const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

/** @param {string} id */
function card(id) {
  return find(`[data-device="${CSS.escape(id)}"]`);
}

/** @param {any} device */
function show(device) {
  const place = card(device.device_id);
  if (!place) return;
  find("[data-part='state']", place)?.replaceChildren(status(LEVEL[device.state] ?? "off", t(device.state_name)));
  const sentence = find("[data-part='sentence']", place);
  if (sentence) sentence.textContent = device.sentence?.[language] ?? "";
  const battery = find("[data-part='battery']", place);
  if (battery && device.battery !== null) {
    battery.replaceChildren(device.battery_low ? status("warning", t("Battery low: %(percent)s %%", { percent: device.battery })) : `${device.battery} %`);
  }
}

/** @type {Map<string, number>} */
const testEnds = new Map();

/** @param {{ device_id: string, seconds: number }} test  0: the next reading counts again */
function showTesting(test) {
  const place = card(test.device_id);
  if (!place) return;
  const notice = find("[data-part='testing']", place);
  const button = find("[data-part='test']", place);
  if (notice) notice.hidden = !test.seconds;
  if (button) button.hidden = test.seconds > 0;
  const tested = find("[data-part='tested']", place);
  if (tested && test.seconds) tested.hidden = true;
  clearTimeout(testEnds.get(test.device_id));
  if (!test.seconds) return;
  const over = () => {
    showTesting({ device_id: test.device_id, seconds: 0 });
    say(test.device_id, t("The test is over: no reading came. The next one counts."));
  };
  testEnds.set(test.device_id, window.setTimeout(over, test.seconds * 1000));
}

/**
 * @param {string} device
 * @param {string} sentence
 */
function say(device, sentence) {
  const place = card(device);
  const line = place ? find("[data-part='tested']", place) : null;
  if (!line) return;
  line.textContent = sentence;
  line.hidden = false;
}

/** @param {{ device_id: string, reading: import("./reading.js").ReadingView, kept: boolean }} test */
function showTest(test) {
  const words = { label: label(test.reading), value: test.reading.text, unit: unit(test.reading.unit) };
  say(test.device_id, test.kept
    ? t("Test: %(label)s %(value)s %(unit)s. It may be an older reading of somebody, so it waits in the tray.", words)
    : t("Test: %(label)s %(value)s %(unit)s. It was not kept.", words));
}

/** @param {{ plugin: string, reader: string, device_id: string, name: string }} device */
function showFound(device) {
  const list = document.getElementById("found");
  const known = list ? all("[name=device_id]", list) : [];
  if (!list || card(device.device_id)) return;
  if (known.some((one) => /** @type {HTMLInputElement} */ (one).value === device.device_id)) return;
  const row = fromTemplate("found-device", { name: device.name, id: device.device_id });
  for (const name of /** @type {const} */ (["plugin", "reader", "device_id"])) {
    /** @type {HTMLInputElement} */ (find(`[name=${name}]`, row)).value = device[name];
  }
  list.append(row);
  list.hidden = false;
  announce(t("Found: %(name)s", { name: device.name }));
}

/** Why the search that runs can find nothing: {sort of device, sentence}. */
let searching = { reader: "", sentence: "" };

/** @param {{ plugin: string, reader: string, sentence: { en: string, zh: string } | null }} search */
function showSearch(search) {
  if (`${search.plugin}/${search.reader}` !== searching.reader) return;
  searching.sentence = search.sentence?.[language] ?? "";
  byId("search-state").textContent = searching.sentence || t("Searching. Switch the device on and keep it near.");
}

function startSearch() {
  const form = /** @type {HTMLFormElement | null} */ (document.getElementById("search-devices"));
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter instanceof HTMLElement ? event.submitter : null;
    const state = byId("search-state");
    if (button) setBusy(button);
    state.textContent = t("Searching. Switch the device on and keep it near.");
    searching = { reader: String(new FormData(form).get("reader")), sentence: "" };
    try {
      await postJson(form.action, new FormData(form));
      await new Promise((done) => setTimeout(done, Number(form.dataset.seconds) * 1000));
      state.textContent = searching.sentence ? searching.sentence : all("#found li").length ? t("The search has ended.") : t("Nothing was found. Is the device switched on and near?");
    } catch (problem) {
      state.textContent = problem instanceof Error ? problem.message : String(problem);
    } finally {
      if (button) setIdle(button);
    }
  });
}

/** Buttons that ask something of a device; what comes of it is told live. */
function startCommands() {
  for (const form of all('form[action$="/test"], form[action$="/end-test"], form[action$="/fetch"]')) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = find("button", form);
      if (button) setBusy(button);
      try {
        await postJson(/** @type {HTMLFormElement} */ (form).action);
      } catch (problem) {
        toast(problem instanceof Error ? problem.message : String(problem), { stays: true });
      } finally {
        if (button) setIdle(button);
      }
    });
  }
}

/** @param {{ patient: { name: string, age: number } | null }} target */
function showTarget(target) {
  byId("devices-target").replaceChildren(
    target.patient
      ? status("live", t("The devices measure for %(name)s, %(age)s", target.patient))
      : status("off", t("The devices measure for nobody; readings wait in the tray")),
  );
}

startSearch();
startCommands();
for (const place of all("[data-device]")) {
  const seconds = Number(find("[data-part='testing']", place)?.dataset.seconds ?? 0);
  if (seconds) showTesting({ device_id: place.dataset.device ?? "", seconds });
}
watch("node", { device: show, "device:found": showFound, "device:search": showSearch, "device:testing": showTesting, "device:tested": showTest, measuring: showTarget });
