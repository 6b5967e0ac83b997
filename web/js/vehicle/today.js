/** The search field of Today and People: results while typing, straight to the person for a card reader. */

import { ApiError, postJson } from "../lib/api.js";
import { all, el, find, status } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

const PAUSE_MS = 250;
const WHOLE_NUMBER = /^\s*\d{17}[\dXx]\s*$/;

/**
 * @typedef {object} Found
 * @property {string} url
 * @property {string} name
 * @property {string} sex
 * @property {number} age
 * @property {string} village
 * @property {string} id_tail
 * @property {string[]} alerts
 * @property {string[]} conditions
 */

function startSearch() {
  const form = /** @type {HTMLFormElement | null} */ (find("form[data-person-search]"));
  const place = document.getElementById("search-results");
  if (!form || !place) return;
  const field = /** @type {HTMLInputElement} */ (find("[name=q]", form));
  let timer = 0;
  let turn = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const query = field.value.trim();
    // A card reader ends with Enter: the form is sent, nothing flickers before.
    if (WHOLE_NUMBER.test(query)) return;
    timer = window.setTimeout(() => look(query), PAUSE_MS);
  });
  // Somebody was faster than this module.
  if (field === document.activeElement && field.value.trim()) field.dispatchEvent(new Event("input"));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      field.value = "";
      look("");
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      find("a", place)?.focus();
    }
  });
  place.addEventListener("keydown", (event) => {
    const links = all("a", place);
    const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    (links[next] ?? field).focus();
  });

  /** @param {string} query */
  async function look(query) {
    const own = ++turn;
    if (!query || !form || !place) {
      if (place) place.hidden = true;
      return;
    }
    try {
      const answer = await postJson(form.action, { q: query });
      if (own !== turn) return;
      place.replaceChildren(...results(answer.people, answer.more, query));
    } catch (problem) {
      if (own !== turn) return;
      place.replaceChildren(el("p", { class: "card-foot" }, problem instanceof ApiError ? problem.sentence : String(problem)));
    }
    place.hidden = false;
  }
}

/**
 * @param {Found[]} people
 * @param {boolean} more
 * @param {string} query
 */
function results(people, more, query) {
  if (!people.length) return [el("p", { class: "card-foot" }, t("Nobody fits “%(query)s”. Look at the spelling, or register the person.", { query }))];
  const rows = people.map((person) =>
    el("li", {},
      el("a", { class: "list-row", href: person.url },
        el("span", { class: "list-main" },
          el("span", { class: "list-title" }, person.name, " ", el("small", { class: "soft" }, `${person.sex} ${t("%(age)s years", { age: person.age })}`)),
          el("span", { class: "list-text" }, [person.village, person.id_tail ? `${t("ID ends in")} ${person.id_tail}` : "", ...person.conditions].filter(Boolean).join(" · "))),
        el("span", { class: "list-end" }, ...person.alerts.map((word) => status("warning", word))))));
  const list = el("ul", { class: "rows" }, ...rows);
  return more ? [list, el("p", { class: "card-foot soft" }, t("There are more. Add a village or more of the name."))] : [list];
}

function startMore() {
  find("[data-show-more]")?.addEventListener("click", (event) => {
    for (const row of all("[data-more]")) row.hidden = false;
    /** @type {HTMLElement} */ (event.currentTarget).closest(".card-foot")?.remove();
  });
}

function startBegin() {
  find("[data-start-visit]")?.addEventListener("click", () => {
    const field = /** @type {HTMLInputElement | null} */ (find("#f-q"));
    window.scrollTo({ top: 0 });
    field?.focus();
    field?.select();
  });
  // What was searched for goes to the register form: a number is not typed twice.
  for (const form of all("form[data-register]")) {
    form.addEventListener("submit", () => {
      const query = /** @type {HTMLInputElement | null} */ (find("#f-q"))?.value.trim();
      const begin = /** @type {HTMLInputElement | null} */ (find("[name=begin]", form));
      if (begin && query) begin.value = query;
    });
  }
  for (const form of all("form[data-auto-submit]")) {
    form.addEventListener("change", () => /** @type {HTMLFormElement} */ (form).requestSubmit());
  }
}

startSearch();
startMore();
startBegin();
