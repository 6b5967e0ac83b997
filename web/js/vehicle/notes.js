/**
 * Reason and notes: kept on this machine at every key, and on the node when the writer pauses, leaves the field or
 * goes on. When somebody else has changed the same text meanwhile, both are shown and the writer chooses.
 */

import { ApiError, getJson, postJson } from "../lib/api.js";
import { byId, el } from "../lib/dom.js";
import { Draft, readForm } from "../lib/draft.js";
import { formatTime, t } from "../lib/i18n.js";

const PAUSE_MS = 4000;

/**
 * @param {HTMLElement} page  has data-encounter, data-version, data-open
 * @param {(step: string) => void} goTo
 */
export function startNotes(page, goTo) {
  const form = /** @type {HTMLFormElement} */ (byId("notes"));
  if (!page.dataset.open) return;
  const draft = new Draft(`notes:${page.dataset.encounter}`);
  const saved = byId("notes-saved");
  const version = /** @type {HTMLInputElement} */ (form.elements.namedItem("version"));
  let sent = texts();
  let timer = 0;
  let running = Promise.resolve();

  const kept = draft.read();
  if (kept) {
    for (const name of ["reason", "notes"]) {
      const value = kept.values[name];
      if (typeof value === "string") field(name).value = value;
    }
    save();
  }

  /** @param {string} name */
  function field(name) {
    return /** @type {HTMLTextAreaElement} */ (form.elements.namedItem(name));
  }

  function texts() {
    return { reason: field("reason").value, notes: field("notes").value };
  }

  function save() {
    clearTimeout(timer);
    running = running.then(send);
    return running;
  }

  async function send() {
    const now = texts();
    if (now.reason === sent.reason && now.notes === sent.notes) return;
    const values = readForm(form);
    const changed = {
      ...(now.reason === sent.reason ? {} : { reason: now.reason }),
      ...(now.notes === sent.notes ? {} : { notes: now.notes }),
    };
    saved.textContent = t("Saving…");
    try {
      const answer = await postJson(form.action, { ...changed, version: Number(version.value) });
      sent = now;
      version.value = String(answer.version);
      saved.textContent = t("Saved %(time)s", { time: formatTime(answer.saved_at) });
      draft.confirmed(values);
      if (same(texts(), now)) draft.confirmed();
    } catch (problem) {
      saved.textContent = problem instanceof Error ? problem.message : String(problem);
      if (problem instanceof ApiError && problem.code === "conflict") await compare();
    }
  }

  /** Show the other text beside ours. */
  async function compare() {
    const theirs = await getJson(form.action);
    const place = byId("notes-conflict");
    const parts = /** @type {const} */ (["reason", "notes"]).filter((name) => theirs[name] !== texts()[name]);
    const mine = el("button", { type: "button", class: "button" }, t("Keep mine"));
    const other = el("button", { type: "button", class: "button" }, t("Take the other text"));
    place.replaceChildren(
      el("div", { class: "notice notice-warning", role: "alert" }, el("div", { class: "notice-text" },
        el("b", {}, t("Somebody else has written here meanwhile")),
        ...parts.map((name) => el("p", { class: "prose" }, theirs[name] || "—")),
        el("div", { class: "row" }, mine, other))),
    );
    place.hidden = false;
    /** @param {boolean} takeTheirs */
    const settle = (takeTheirs) => {
      if (takeTheirs) for (const name of parts) field(name).value = theirs[name];
      version.value = String(theirs.version);
      sent = { reason: theirs.reason, notes: theirs.notes };
      place.hidden = true;
      if (takeTheirs) draft.confirmed();
      save();
    };
    mine.addEventListener("click", () => settle(false));
    other.addEventListener("click", () => settle(true));
  }

  form.addEventListener("input", () => {
    draft.keep(readForm(form));
    clearTimeout(timer);
    timer = window.setTimeout(save, PAUSE_MS);
  });
  form.addEventListener("focusout", save);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") save();
  });
  document.addEventListener("login:renewed", save);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await save();
    goTo("vitals");
  });
}

/**
 * @param {{ reason: string, notes: string }} one
 * @param {{ reason: string, notes: string }} other
 */
function same(one, other) {
  return one.reason === other.reason && one.notes === other.notes;
}
