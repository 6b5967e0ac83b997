/** Asking a third person into the call: a list with who is on line, opened in place by a button. */

import { getJson, postJson, send } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { el, icon, status } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** @typedef {{ user_id: string, name: string, title: string, organization: string, specialty_name: string, online: boolean, invited: boolean }} Person */

/**
 * @param {HTMLElement} button  has aria-expanded
 * @param {HTMLElement} place  where the list is shown
 * @param {string} consult
 */
export function startInvitations(button, place, consult) {
  const url = `/consults/${consult}/invitations`;
  button.addEventListener("click", async () => {
    const opening = place.hidden;
    place.hidden = !opening;
    button.setAttribute("aria-expanded", String(opening));
    if (opening) await load();
  });

  async function load() {
    place.replaceChildren(el("p", { class: "soft", role: "status" }, t("Asking the hub")));
    try {
      const { people } = await getJson(url);
      draw(people);
    } catch (problem) {
      place.replaceChildren(el("p", { role: "alert" }, problem instanceof Error ? problem.message : String(problem)));
    }
  }

  /** @param {Person[]} people */
  function draw(people) {
    const list = el("ul", { class: "rows invite-list" });
    for (const person of people) list.append(row(person));
    place.replaceChildren(
      el("h3", {}, t("Invite into the call")),
      people.length ? list : el("p", { class: "soft" }, t("Nobody else is registered as a specialist.")),
    );
  }

  /** @param {Person} person */
  function row(person) {
    const act = el("button", { type: "button", class: "button" }, icon(person.invited ? "undo" : "invite"), el("span", {}, person.invited ? t("Take back") : t("Invite")));
    act.addEventListener("click", async () => {
      setBusy(act);
      try {
        if (person.invited) await send("DELETE", `${url}/${person.user_id}`);
        else await postJson(`${url}/${person.user_id}`);
        await load();
      } catch (problem) {
        setIdle(act);
        act.after(el("p", { role: "alert", class: "small" }, problem instanceof Error ? problem.message : String(problem)));
      }
    });
    return el(
      "li",
      { class: "list-row" },
      el(
        "span",
        { class: "list-main" },
        el("span", { class: "list-title" }, `${person.name} ${person.title}`.trim()),
        el("span", { class: "list-text soft" }, [person.organization, person.specialty_name].filter(Boolean).join(" · ")),
      ),
      el("span", { class: "list-end" }, person.online ? status("ok", t("On line")) : status("off", t("Off line")), act),
    );
  }
}
