/**
 * The frame of every page: keeps the status strip true, asks for the password again when the login has run out,
 * mutes, and starts what the components do. Pages need not call anything here.
 */

import { announce } from "./lib/announce.js";
import { getJson, postJson, setCsrfToken } from "./lib/api.js";
import { startBehaviours } from "./lib/behaviours.js";
import { find, setIcon } from "./lib/dom.js";
import { formatDate, t } from "./lib/i18n.js";
import { onConnection, watch } from "./lib/socket.js";
import { isMuted, setMuted, unlock } from "./lib/sound.js";
import { toast } from "./lib/toast.js";

const root = document.documentElement;
const person = root.dataset.person ?? "";
const READY = ["connected", "idle", "measuring"];
const LOW_BATTERY = 20;
/** @type {Map<string, { state: string, battery: number | null }>} */
const devices = new Map();

/** Keep the focused field out from under the bars: scroll-padding in base.css uses these heights. */
function followHeights() {
  const top = document.getElementById("top");
  const foot = document.getElementById("foot");
  const observer = new ResizeObserver(() => {
    const bar = document.getElementById("patient-bar");
    const upper = top && getComputedStyle(top).display === "contents" ? bar : top;
    root.style.setProperty("--top-height", `${upper?.offsetHeight ?? 0}px`);
    root.style.setProperty("--bottom-height", `${foot?.offsetHeight ?? 0}px`);
  });
  for (const element of [document.body, top, foot]) if (element) observer.observe(element);
}

/**
 * @param {string} id
 * @param {string} text
 */
function setText(id, text) {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
}

/** @param {{ online: boolean, waiting: number }} uplink */
function showUplink(uplink) {
  const place = document.getElementById("strip-uplink");
  if (!place) return;
  const next = uplink.online ? "on" : "off";
  if (place.dataset.state !== next) {
    announce(
      uplink.online
        ? t("The link is back. What waited is being sent.")
        : t("Link lost. What you wrote is kept on this machine and is sent when the link is back."),
    );
  }
  place.dataset.state = next;
  const mark = find(".icon", place);
  if (mark) setIcon(mark, uplink.online ? "mark-ok" : "signal-off");
  setText("strip-uplink-word", uplink.online ? t("On line") : t("Off line"));
  setText("strip-waiting", uplink.waiting ? t("%(count)s waiting to be sent", { count: uplink.waiting }) : "");
  setCount("outbox", uplink.waiting);
}

/**
 * A number in the rail.
 *
 * @param {string} key
 * @param {number} value
 */
function setCount(key, value) {
  const count = find(`[data-count="${key}"]`);
  if (count) count.textContent = value ? String(value) : "";
}

/** @param {{ assignment_id: string, state: string, battery: number | null }} device */
function showDevice(device) {
  devices.set(device.assignment_id, device);
  const place = document.getElementById("strip-devices");
  if (!place) return;
  const known = [...devices.values()].filter((one) => one.state !== "off");
  const low = known.some((one) => typeof one.battery === "number" && one.battery < LOW_BATTERY);
  const failed = known.some((one) => one.state === "failed");
  place.dataset.state = low || failed ? "warning" : "ok";
  setText("strip-devices-count", `${known.filter((one) => READY.includes(one.state)).length}/${known.length}`);
  setText("strip-devices-word", failed ? t("Look at the devices") : low ? t("Battery low") : "");
}

/** @param {{ patient: { name: string, age: number } | null }} target  whom the devices measure for from now on */
function showMeasuring(target) {
  const who = target.patient;
  setText("strip-measuring", who ? t("Measuring: %(name)s, %(age)s", { name: who.name, age: who.age }) : "");
}

/** @param {{ consult_id: string, state: string }} change */
function showCall(change) {
  const link = /** @type {HTMLAnchorElement | null} */ (document.getElementById("strip-call"));
  if (!link) return;
  const running = change.state === "in_call" || change.state === "interrupted";
  const callPage = `/consults/${change.consult_id}/call`;
  if (running && link.dataset.consult !== change.consult_id) {
    link.dataset.consult = change.consult_id;
    link.href = callPage;
    setText("strip-call-patient", "");
  } else if (!running && link.dataset.consult !== change.consult_id) {
    return;
  }
  link.hidden = !running || location.pathname === callPage;
}

/** @param {{ consult_id: string, by: string }} invitation */
function showInvitation(invitation) {
  const sentence = t("%(name)s asks you to join a call.", { name: invitation.by });
  announce(sentence, { urgent: true });
  toast(sentence, { stays: true, link: { label: t("Join"), href: `/consults/${invitation.consult_id}/call` } });
}

function followNode() {
  watch(`user:${person}`, { "consult:changed": showCall, "call:invited": showInvitation });
  if (root.dataset.node === "vehicle") {
    for (const device of readDevices()) devices.set(device.assignment_id, device);
    watch("node", {
      uplink: showUplink,
      device: showDevice,
      measuring: showMeasuring,
      "unassigned:changed": (/** @type {{ count: number }} */ data) => setCount("unassigned", data.count),
    });
  }
  const lost = document.getElementById("strip-connection");
  const uplink = document.getElementById("strip-uplink");
  onConnection((state) => {
    if (lost) lost.hidden = state !== "offline";
    // Without its node the page knows nothing of the uplink.
    if (uplink) uplink.hidden = state === "offline";
  });
}

/** @returns {{ assignment_id: string, state: string, battery: number | null }[]} */
function readDevices() {
  const place = document.getElementById("strip-devices");
  return place?.dataset.devices ? JSON.parse(place.dataset.devices) : [];
}

/** The date in the strip turns at midnight of the site, on a page that stays open. */
function followDate() {
  setInterval(() => setText("strip-date", formatDate(new Date())), 30000);
}

function startMute() {
  const button = find("[data-mute]");
  if (!button) return;
  const show = () => {
    const muted = isMuted();
    button.setAttribute("aria-pressed", String(muted));
    const word = find("[data-mute-word]", button);
    if (word) word.textContent = muted ? t("off") : t("on");
    const mark = find(".icon", button);
    if (mark) setIcon(mark, muted ? "speaker-off" : "speaker");
  };
  button.addEventListener("click", () => {
    setMuted(!isMuted());
    show();
  });
  show();
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, unlock, { once: true });
}

/** Asks for the password in place. The page and all that is written in it stay as they are. */
function startLoginAgain() {
  const form = /** @type {HTMLFormElement | null} */ (document.getElementById("login-again"));
  if (!form) return;
  const error = document.getElementById("login-again-error");
  document.addEventListener("login:other", () => {
    const sentence = t("Somebody else has logged in in this browser. What you wrote is kept. Load the page again.");
    announce(sentence, { urgent: true });
    toast(sentence, { stays: true, link: { label: t("Load again"), href: location.href } });
  }, { once: true });
  document.addEventListener("login:expired", () => {
    if (!form.hidden) return;
    form.hidden = false;
    find("[type=password]", form)?.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    try {
      setCsrfToken((await getJson("/login.json")).csrf_token);
      setCsrfToken((await postJson("/login.json", fields)).csrf_token);
      form.reset();
      form.hidden = true;
      if (error) error.hidden = true;
      document.dispatchEvent(new CustomEvent("login:renewed"));
      announce(t("You are logged in again."));
    } catch (problem) {
      if (!error) return;
      error.textContent = problem instanceof Error ? problem.message : String(problem);
      error.hidden = false;
    }
  });
}

followHeights();
startBehaviours();
startLoginAgain();
startMute();
followDate();
if (person) followNode();
root.dataset.ready = ""; // everything on the page answers from now on
