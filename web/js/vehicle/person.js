/** The register form: kept on this machine while it is written; a whole ID number fills birth date and sex. */

import { byId, find } from "../lib/dom.js";
import { Draft } from "../lib/draft.js";
import { t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";
import { SENT } from "./saved.js";

const form = /** @type {HTMLFormElement} */ (byId("person"));
const draft = new Draft(form.dataset.draft ?? "person:new");
const shown = Boolean(find(".notice", form)) || Boolean(/** @type {HTMLInputElement} */ (byId("f-resident_id")).value);

// A form that came back with faults, or begun with a number, holds what was typed already.
if (shown) draft.confirmed();
const when = draft.attach(form);
if (when) toast(t("What you had begun to write is here again."), { undo: startAnew });

function startAnew() {
  draft.confirmed();
  form.reset();
}

// The node has it once it answers with the person's page (saved.js); until then the draft stays.
sessionStorage.removeItem(SENT);
form.addEventListener("submit", () => sessionStorage.setItem(SENT, draft.name));

const number = /** @type {HTMLInputElement} */ (byId("f-resident_id"));
number.addEventListener("input", () => {
  const text = number.value.replace(/\s/g, "");
  if (!fits(text)) return;
  const born = /** @type {HTMLInputElement} */ (byId("f-birth_date"));
  if (!born.value) born.value = `${text.slice(6, 10)}-${text.slice(10, 12)}-${text.slice(12, 14)}`;
  const sex = Number(text[16]) % 2 ? "male" : "female";
  if (!find("[name=sex]:checked", form)) {
    const choice = /** @type {HTMLInputElement | null} */ (find(`[name=sex][value=${sex}]`, form));
    if (choice) choice.checked = true;
  }
});
/**
 * Whether the check character fits (GB 11643-1999), so that a misread number fills nothing in. The node checks all of it.
 *
 * @param {string} text
 */
function fits(text) {
  if (!/^\d{17}[\dXx]$/.test(text)) return false;
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  const sum = weights.reduce((total, weight, at) => total + weight * Number(text[at]), 0);
  return "10X98765432"[sum % 11] === text[17].toUpperCase();
}

number.addEventListener("keydown", (event) => {
  // A card reader ends with Enter; the rest of the form is still empty then.
  if (event.key === "Enter") {
    event.preventDefault();
    byId("f-name").focus();
  }
});
