/**
 * What every page of one consult does: follows where it stands, fills in new text without a jump, loads the page again
 * only when it has to look different, and takes steps.
 */

import { announce } from "../lib/announce.js";
import { ApiError, postJson } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { all, byId, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";
import { toast } from "../lib/toast.js";

/** @typedef {{ consult_id: string, state: string, revision: number, action: string, actor_name: string, pending?: boolean }} Change */

/** What has happened, for people who listen to the page; "" for steps that need no word. */
function newsSentence(/** @type {Change} */ change) {
  const name = change.actor_name;
  switch (change.action) {
    case "accept":
      return t("%(name)s has accepted the consult.", { name });
    case "decline":
      return t("The consult was declined.");
    case "ask_information":
      return t("%(name)s asks for information.", { name });
    case "sign_opinion":
      return t("%(name)s has signed the opinion.", { name });
    case "correct_opinion":
      return t("%(name)s has corrected the opinion.", { name });
    case "withdraw":
      return t("The request was withdrawn.");
    default:
      return "";
  }
}

/**
 * Follow the consult of this page.
 *
 * @param {object} [options]
 * @param {() => boolean} [options.isWriting]  while true the page is not loaded again; the person is told instead
 * @param {Record<string, (data: any) => void>} [options.handlers]  further events of the topic
 * @returns {string}  the consult's id
 */
export function followConsult(options = {}) {
  const page = byId("consult");
  const id = String(page.dataset.consult);
  let told = `${page.dataset.state}:${page.dataset.revision}`;
  let busy = Promise.resolve();
  const look = () => {
    busy = busy.then(() => refresh(page, options.isWriting ?? (() => false))).catch(() => {});
  };
  watch(`consult:${id}`, {
    "consult:changed": (/** @type {Change} */ change) => {
      const now = `${change.state}:${change.revision}:${change.pending}`;
      if (now === told) return;
      told = now;
      const sentence = change.actor_name ? newsSentence(change) : "";
      if (sentence) announce(sentence);
      look();
    },
    "opinion:signed": look,
    joined: look,
    ...options.handlers,
  });
  bindSteps();
  return id;
}

/**
 * Read the page again. Parts with the same layout are replaced in place; another layout loads the page.
 *
 * @param {HTMLElement} page
 * @param {() => boolean} isWriting
 */
async function refresh(page, isWriting) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok) {
    if (answer.status === 403) location.reload(); // the consult is somebody else's now: the page says whose
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.getElementById("consult");
  if (!next) return;
  if (next.dataset.layout !== page.dataset.layout) {
    if (!isWriting() && !hasWords()) {
      location.reload();
      return;
    }
    toast(t("The consult has moved on. What you write is kept; load the page to see where it stands."), {
      stays: true,
      link: { label: t("Load the page"), href: location.href },
    });
  }
  page.dataset.state = next.dataset.state;
  page.dataset.revision = next.dataset.revision;
  for (const part of all("[data-refresh]")) {
    const other = find(`[data-refresh="${CSS.escape(part.dataset.refresh ?? "")}"]`, fresh);
    const inUse = part.contains(document.activeElement) && document.activeElement !== document.body;
    if (other && !inUse && !find("details[open]", part)) part.replaceChildren(...document.importNode(other, true).childNodes);
  }
}

/** Whether somebody is writing the words of a step. */
function hasWords() {
  return all("[data-step] textarea").some((field) => /** @type {HTMLTextAreaElement} */ (field).value.trim() !== "");
}

/** Forms with [data-step] go to the node without leaving the page, so that nothing written is lost when it refuses. */
function bindSteps() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.step) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter ?? find("[type=submit]", form);
    await takeStep(form, button instanceof HTMLElement ? button : null);
  }, true);
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} button
 */
export async function takeStep(form, button) {
  const data = new FormData(form);
  const error = find("[data-error]", form);
  if (error) error.hidden = true;
  if (button?.getAttribute("aria-busy") === "true") return;
  if (button) setBusy(button);
  try {
    const answer = await postJson(form.getAttribute("action") ?? "", { action: String(data.get("action")), text: String(data.get("text") ?? "") });
    if (answer.sentence) announce(answer.sentence);
    location.assign(answer.url);
  } catch (problem) {
    if (button) setIdle(button);
    const sentence = problem instanceof Error ? problem.message : String(problem);
    if (error && problem instanceof ApiError && problem.field === "text") {
      error.textContent = sentence;
      error.hidden = false;
      find("textarea", form)?.focus();
    } else {
      toast(sentence, { stays: true });
      announce(sentence, { urgent: true });
    }
  }
}
