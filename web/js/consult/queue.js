/**
 * The queue keeps itself true: rows are fetched when something changes and put into the lists one by one, so that what
 * the eye or the focus is on stays where it is. New ones sound, and are told by the browser when the window is behind.
 * The whole queue can be worked with the keyboard.
 */

import { announce } from "../lib/announce.js";
import { postJson } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { all, byId, find } from "../lib/dom.js";
import { duration, t } from "../lib/i18n.js";
import { bindKeys } from "../lib/keys.js";
import { askPermission, notify, permission } from "../lib/notify.js";
import { watch } from "../lib/socket.js";
import { chime } from "../lib/sound.js";
import { toast } from "../lib/toast.js";

const page = byId("queue-page");
const accept = /** @type {HTMLButtonElement} */ (byId("accept"));
/** The row that the keys act on: the focused one, else the last that was focused. */
let chosen = "";
let running = Promise.resolve();
/** @type {Set<string>} */
const arrivals = new Set();

/** @typedef {{ consult_id: string, state: string, urgency: string, arrived: boolean }} Change */

watch("queue", {
  "queue:changed": (/** @type {Change} */ change) => {
    if (change.arrived) arrivals.add(change.consult_id);
    refresh();
  },
  joined: refresh,
});
watch(`user:${document.documentElement.dataset.person}`, { "consult:changed": refresh });
page.addEventListener("focusin", (event) => choose(rowOf(event.target)));
accept.addEventListener("click", () => void take());
bindKeys({ j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1), Enter: open, a: () => void take() });
document.addEventListener("keydown", (event) => {
  // The arrows work while a row has the focus too, which `bindKeys` leaves to links.
  if (event.key === "Enter" && rowOf(event.target)) choose(rowOf(event.target));
});
setInterval(showWaiting, 15000);
startNotify();
choose(rows()[0] ?? null);

function rows() {
  return all("#queue > li");
}

/** @param {EventTarget | null} target */
function rowOf(target) {
  return target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("#queue > li")) : null;
}

/** @param {HTMLElement | null} row */
function choose(row) {
  if (row) chosen = row.dataset.consult ?? "";
  const current = row ?? find(`#queue > li[data-consult="${CSS.escape(chosen)}"]`) ?? rows()[0] ?? null;
  for (const other of rows()) other.classList.toggle("is-chosen", other === current);
  accept.disabled = !current;
  const name = current ? find(".queue-who b", current)?.textContent : "";
  const label = find("[data-label]", accept);
  if (label) label.textContent = name ? t("Accept %(name)s", { name }) : t("Accept");
}

/** @param {number} by */
function move(by) {
  const list = rows();
  if (!list.length) return;
  const at = list.findIndex((row) => row.dataset.consult === chosen && row.contains(document.activeElement));
  const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
  find("a", next)?.focus();
}

function open() {
  const row = find(`#queue > li[data-consult="${CSS.escape(chosen)}"]`) ?? rows()[0];
  const link = row ? find("a", row) : null;
  if (link instanceof HTMLAnchorElement) location.assign(link.href);
}

/** Accept the chosen one. Whoever was faster is named. */
async function take() {
  const row = find(`#queue > li[data-consult="${CSS.escape(chosen)}"]`);
  if (!row || accept.getAttribute("aria-busy") === "true") return;
  setBusy(accept);
  try {
    const answer = await postJson(`/consults/${row.dataset.consult}/steps`, { action: "accept" });
    location.assign(answer.url);
  } catch (problem) {
    setIdle(accept);
    const sentence = problem instanceof Error ? problem.message : String(problem);
    toast(sentence, { stays: true });
    announce(sentence, { urgent: true });
    refresh();
  }
}

function refresh() {
  running = running.then(load).catch(() => {});
}

async function load() {
  const answer = await fetch(String(page.dataset.rows), { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (answer.redirected || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  keepPlace(() => {
    merge(byId("queue"), fresh.getElementById("queue"));
    const hand = byId("hand");
    merge(hand, fresh.getElementById("hand"));
    const section = hand.closest("section");
    if (section) section.hidden = !hand.children.length;
    const count = find(".queue-hand .count");
    if (count) count.textContent = String(hand.children.length);
    const empty = find("[data-when-empty]");
    if (empty) empty.hidden = rows().length > 0;
    byId("queue-count").textContent = t("%(count)s waiting", { count: rows().length });
  });
  choose(null);
  greet();
}

/**
 * Make a list hold the fresh rows in their order, moving and replacing as few as possible.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement | null} fresh
 */
function merge(list, fresh) {
  const wanted = fresh ? all("li[data-consult]", fresh) : [];
  const known = new Map(all("li[data-consult]", list).map((row) => [row.dataset.consult, row]));
  const ids = new Set(wanted.map((row) => row.dataset.consult));
  for (const [id, row] of known) if (!ids.has(id)) row.remove();
  let previous = /** @type {Element | null} */ (null);
  for (const row of wanted) {
    const old = known.get(row.dataset.consult);
    let here = old;
    if (!old || !sameRow(old, row)) {
      here = /** @type {HTMLElement} */ (document.importNode(row, true));
      if (!old) here.classList.add("is-new");
      const focused = old?.contains(document.activeElement);
      old?.replaceWith(here);
      if (focused) find("a", here)?.focus({ preventScroll: true });
    }
    const place = previous ? previous.nextElementSibling : list.firstElementChild;
    if (here && place !== here) {
      const focused = here.contains(document.activeElement);
      list.insertBefore(here, place);
      if (focused) find("a", here)?.focus({ preventScroll: true });
    }
    previous = here ?? previous;
  }
}

/**
 * Whether two rows say the same, the time waited left aside.
 *
 * @param {HTMLElement} one
 * @param {HTMLElement} other
 */
function sameRow(one, other) {
  const words = (/** @type {HTMLElement} */ row) => {
    const copy = /** @type {HTMLElement} */ (row.cloneNode(true));
    find("[data-since]", copy)?.replaceChildren();
    return copy.innerHTML;
  };
  return words(one) === words(other);
}

/** Whatever is being looked at stays where it is on the screen. @param {() => void} change */
function keepPlace(change) {
  const top = document.getElementById("top")?.getBoundingClientRect().bottom ?? 0;
  const focused = rowOf(document.activeElement);
  const seen = all("#queue > li, #hand > li").filter((row) => row.getBoundingClientRect().bottom > top);
  const anchor = focused ?? (scrollY > 0 ? seen[0] : undefined);
  const id = anchor?.dataset.consult ?? "";
  const before = anchor?.getBoundingClientRect().top ?? 0;
  change();
  const after = find(`#queue-lists li[data-consult="${CSS.escape(id)}"]`);
  if (after) scrollBy(0, after.getBoundingClientRect().top - before);
}

/** Sound and tell what has just arrived and is in the list. */
function greet() {
  const here = rows().filter((row) => arrivals.has(row.dataset.consult ?? ""));
  arrivals.clear();
  if (!here.length) return;
  const isEmergency = here.some((row) => row.classList.contains("queue-emergency"));
  chime(isEmergency ? "emergency" : "new");
  const sentence = isEmergency ? t("A new emergency consult is waiting.") : t("A new consult is waiting.");
  announce(sentence, { urgent: isEmergency });
  notify(sentence, { tag: "queue", url: "/queue" });
}

function showWaiting() {
  for (const place of all("[data-since]")) {
    if (place.dataset.since) place.textContent = duration((Date.now() - Date.parse(place.dataset.since)) / 1000);
  }
}

function startNotify() {
  const button = byId("notify");
  button.hidden = permission() !== "default";
  button.addEventListener("click", async () => {
    await askPermission();
    button.hidden = true;
  });
}
