/** The line above the bottom bar: what has been done, and a way to undo it. It covers nothing and asks nothing. */

import { el, icon, byId } from "./dom.js";
import { t } from "./i18n.js";

const STAYS_MS = 8000;

/**
 * @param {string} sentence
 * @param {object} [options]
 * @param {() => void} [options.undo]  called once if the person takes it back
 * @param {{ label: string, href: string }} [options.link]
 * @param {boolean} [options.stays]  until closed by the person; for what must be seen
 * @returns {() => void}  removes the line
 */
export function toast(sentence, options = {}) {
  const line = el("div", { class: "toast" }, el("p", {}, sentence));
  let timer = 0;
  const remove = () => {
    clearTimeout(timer);
    line.remove();
  };
  const { undo, link } = options;
  if (undo) {
    const button = el("button", { type: "button", class: "button" }, icon("undo"), el("span", {}, t("Undo")));
    button.addEventListener("click", () => {
      remove();
      undo();
    });
    line.append(button);
  }
  if (link) line.append(el("a", { class: "button", href: link.href }, link.label));
  const close = el("button", { type: "button", class: "button button-icon", "aria-label": t("Close") }, icon("close"));
  close.addEventListener("click", remove);
  line.append(close);
  byId("toasts").append(line);

  const start = () => {
    if (!options.stays) timer = window.setTimeout(remove, STAYS_MS);
  };
  // Nobody loses an undo button that they are about to press.
  for (const event of ["pointerenter", "focusin"]) line.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) line.addEventListener(event, start);
  start();
  return remove;
}
