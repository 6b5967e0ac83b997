/**
 * What the macros' markup does: tabs, drawers, menus, questions in place, quick phrases, forms that are sent once.
 * Everything is delegated from the document, so markup that a module adds later behaves as well.
 */

import { all, find } from "./dom.js";
import { t } from "./i18n.js";
import { bindKeys, keysOff, setKeysOff } from "./keys.js";

/** Start them; called once by js/shell.js. */
export function startBehaviours() {
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("input", onInput);
  document.addEventListener("toggle", onToggle, true);
  // A page that the browser kept (back button) must not come back with dead buttons.
  window.addEventListener("pageshow", () => all('button[aria-busy="true"]').forEach(setIdle));
  find("[data-focus]")?.focus();
  startKeys();
}

/**
 * A date grows its hyphens while it is typed or pasted: 19590101 becomes 1959-01-01.
 *
 * @param {Event} event
 */
function onInput(event) {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || field.dataset.date === undefined) return;
  const deletes = event instanceof InputEvent && event.inputType.startsWith("delete");
  if (deletes || field.selectionStart !== field.value.length) return;
  const digits = field.value.replace(/\D/g, "").slice(0, 8);
  const parts = [digits.slice(0, 4), digits.slice(4, 6), digits.slice(6)].filter(Boolean);
  // Written with other separators, a month may have one digit: that is the person's to finish.
  if (/^\d+$/.test(field.value) || /^\d{4}-\d{2}\d+$/.test(field.value)) field.value = parts.join("-");
}

/** @param {MouseEvent} event */
function onClick(event) {
  if (!(event.target instanceof Element)) return;
  const target = event.target.closest("[data-drawer], [data-drawer-close], [data-confirm-cancel], [data-phrase-for], [role=tab]");
  for (const menu of all("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
  if (!(target instanceof HTMLElement)) return;
  if (target.hasAttribute("data-drawer")) toggleDrawer(target.getAttribute("aria-controls") ?? "");
  else if (target.dataset.drawerClose !== undefined) toggleDrawer(target.dataset.drawerClose, false);
  else if (target.hasAttribute("data-confirm-cancel")) closeDetails(target.closest("details"));
  else if (target.dataset.phraseFor) addPhrase(target.dataset.phraseFor, target.textContent ?? "");
  else if (target.closest("[data-tabs]")) selectTab(target);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (!(event.target instanceof Element)) return;
  if (event.key === "Escape") {
    closeDetails(event.target.closest("details[data-menu][open], details[data-confirm][open]"));
    const drawer = event.target.closest(".drawer");
    if (drawer) toggleDrawer(drawer.id, false);
    return;
  }
  const tab = event.target.closest("[data-tabs] [role=tab]");
  if (!tab) return;
  const tabs = all("[role=tab]", tab.closest("[data-tabs]") ?? document);
  const at = tabs.indexOf(/** @type {HTMLElement} */ (tab));
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const chosen = tabs[(next + tabs.length) % tabs.length];
  selectTab(chosen);
  chosen.focus();
}

/** @param {Event} event */
function onToggle(event) {
  const details = event.target;
  if (details instanceof HTMLDetailsElement && details.open && details.matches("[data-confirm]")) {
    // The safe answer has the focus.
    find("[data-confirm-cancel]", details)?.focus();
  }
}

/** @param {Element | null} details */
function closeDetails(details) {
  if (!(details instanceof HTMLDetailsElement)) return;
  details.open = false;
  find("summary", details)?.focus();
}

/**
 * Open or close a drawer and say so on its buttons. A "drawer:toggle" event on it tells the page.
 *
 * @param {string} id
 * @param {boolean} [open]  without it: the other way round
 */
export function toggleDrawer(id, open) {
  const drawer = document.getElementById(id);
  if (!drawer) return;
  const opening = open ?? drawer.hidden;
  drawer.hidden = !opening;
  const buttons = all(`[data-drawer][aria-controls="${CSS.escape(id)}"]`);
  for (const button of buttons) button.setAttribute("aria-expanded", String(opening));
  if (opening) find("[data-autofocus], button", drawer)?.focus();
  else buttons[0]?.focus();
  drawer.dispatchEvent(new CustomEvent("drawer:toggle", { bubbles: true, detail: { open: opening } }));
}

/** @param {HTMLElement} tab */
function selectTab(tab) {
  const list = tab.closest("[data-tabs]");
  if (!list) return;
  for (const other of all("[role=tab]", list)) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls") ?? "");
    if (panel) panel.hidden = !chosen;
  }
}

/**
 * @param {string} id
 * @param {string} phrase
 */
function addPhrase(id, phrase) {
  const field = document.getElementById(id);
  if (!(field instanceof HTMLTextAreaElement)) return;
  const before = field.value.trimEnd();
  const joint = !before || /[。，；：、,.;:\n]$/.test(before) ? "" : document.documentElement.lang.startsWith("zh") ? "，" : ", ";
  field.value = before + joint + phrase.trim();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

/**
 * A form is sent once, however often it is tapped on a slow link.
 *
 * @param {SubmitEvent} event
 */
function onSubmit(event) {
  const form = event.target;
  if (event.defaultPrevented || !(form instanceof HTMLFormElement) || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  const button = event.submitter;
  if (button instanceof HTMLElement) setBusy(button);
}

/**
 * Show that a button's work is under way.
 *
 * @param {HTMLElement} button
 */
export function setBusy(button) {
  button.setAttribute("aria-busy", "true");
}

/** @param {HTMLElement} button */
export function setIdle(button) {
  button.removeAttribute("aria-busy");
  const form = button instanceof HTMLButtonElement ? button.form : null;
  if (form) delete form.dataset.sent;
}

function startKeys() {
  const panel = document.getElementById("keys");
  if (!panel) return;
  bindKeys({
    "?": () => {
      panel.hidden = !panel.hidden;
    },
  });
  const off = /** @type {HTMLInputElement | null} */ (find("[data-keys-off]", panel));
  if (!off) return;
  off.checked = keysOff();
  off.setAttribute("aria-label", t("Turn single keys off"));
  off.addEventListener("change", () => setKeysOff(off.checked));
}
