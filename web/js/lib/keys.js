/**
 * Single keys for people who work without a mouse. They are silent while somebody writes, and a person can turn them
 * off in the list that `?` opens (macro `ui.keys`).
 */

const KEY = "teleconsult.keys-off";

/** Whether single keys are turned off on this machine. */
export function keysOff() {
  return localStorage.getItem(KEY) === "1";
}

/** @param {boolean} off */
export function setKeysOff(off) {
  if (off) localStorage.setItem(KEY, "1");
  else localStorage.removeItem(KEY);
}

/**
 * @param {Record<string, (event: KeyboardEvent) => void>} bindings  by `event.key`: "j", "Enter", "?"; letters in lower case
 * @returns {() => void}  unbinds
 */
export function bindKeys(bindings) {
  const listen = (/** @type {KeyboardEvent} */ event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = bindings[key];
    if (!act || writes(event.target) || (keysOff() && key !== "?")) return;
    // Enter and the space bar belong to the button or link that has the focus.
    if ((key === "Enter" || key === " ") && event.target instanceof Element && event.target.closest("a, button, summary")) return;
    event.preventDefault();
    act(event);
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}

/** @param {EventTarget | null} target */
function writes(target) {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])"))
  );
}
