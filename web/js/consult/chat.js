/**
 * The conversation of a consult: lines that are kept, with a field to write one. Used on the consult pages and in the
 * drawer of the call: `startChat(root, consultId)`.
 *
 * A line is shown at once and marked until the node has it. Its id is made here, so sending it again doubles nothing.
 */

import { getJson, postJson } from "../lib/api.js";
import { all, el, find, icon } from "../lib/dom.js";
import { Draft } from "../lib/draft.js";
import { formatMoment, formatTime, t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";

const MAX_TEXT = 2000;

/**
 * @typedef {object} Line
 * @property {string} id
 * @property {string} author_id
 * @property {string} author_name
 * @property {string} text
 * @property {string} written_at
 */

/**
 * @param {HTMLElement} root  filled by this function
 * @param {string} consult
 * @param {{ onCount?: (count: number) => void, onNew?: (line: Line) => void }} [options]
 * @returns {Promise<void>}  once the lines so far are shown
 */
export async function startChat(root, consult, options = {}) {
  const me = document.documentElement.dataset.person ?? "";
  const list = el("ol", { class: "chat", "aria-live": "polite", "aria-label": t("Chat") });
  const empty = el("p", { class: "chat-empty soft" }, t("Nothing written yet."));
  const note = el("p", { class: "chat-note soft", role: "status", hidden: true });
  const field = el("textarea", { class: "input", rows: 1, maxlength: MAX_TEXT, name: "text", "aria-label": t("Write a line"), placeholder: t("Write a line") });
  const send = el("button", { type: "submit", class: "button button-icon", "aria-label": t("Send") }, icon("send"));
  const form = el("form", { class: "chat-form" }, field, send);
  root.replaceChildren(empty, list, note, form);
  const draft = new Draft(`chat:${consult}`);
  draft.attach(form);
  let isFirst = true;

  /** @param {Line} line */
  function show(line) {
    const known = find(`[data-line="${CSS.escape(line.id)}"]`, list);
    const shown = drawLine(line, line.author_id === me);
    if (known) {
      known.replaceWith(shown);
      return;
    }
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    list.append(shown);
    empty.hidden = true;
    options.onCount?.(all("[data-line]", list).length);
    if (!isFirst && line.author_id !== me) options.onNew?.(line);
    if (atEnd || line.author_id === me) list.scrollTop = list.scrollHeight;
  }

  async function load() {
    try {
      const talk = await getJson(`/consults/${consult}/conversation`);
      for (const line of talk.messages) show(line);
      form.hidden = !talk.may_add;
      list.scrollTop = list.scrollHeight;
    } catch (problem) {
      tell(problem);
    }
    isFirst = false;
  }

  /** @param {unknown} problem */
  function tell(problem) {
    note.textContent = problem instanceof Error ? problem.message : String(problem);
    note.hidden = false;
  }

  /** @param {Line} line */
  async function deliver(line) {
    try {
      const answer = await postJson(`/consults/${consult}/chat`, { id: line.id, text: line.text });
      note.hidden = true;
      show(answer.message);
    } catch (problem) {
      tell(problem);
      const shown = find(`[data-line="${CSS.escape(line.id)}"]`, list);
      const again = el("button", { type: "button", class: "button" }, icon("again"), el("span", {}, t("Send again")));
      again.addEventListener("click", () => {
        again.remove();
        void deliver(line);
      });
      shown?.append(again);
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    const line = { id: crypto.randomUUID(), author_id: me, author_name: t("Me"), text, written_at: new Date().toISOString() };
    field.value = "";
    draft.confirmed();
    show(line);
    find(`[data-line="${line.id}"]`, list)?.classList.add("chat-unsent");
    void deliver(line);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  watch(`consult:${consult}`, { "chat:message": show, joined: () => void load() });
  await load();
}

/**
 * @param {Line} line
 * @param {boolean} mine
 */
function drawLine(line, mine) {
  return el(
    "li",
    { class: mine ? "chat-line chat-mine" : "chat-line", "data-line": line.id },
    el("span", { class: "chat-who" }, line.author_name, " ", el("time", { datetime: line.written_at, title: formatMoment(line.written_at) }, formatTime(line.written_at))),
    el("p", { class: "chat-text" }, line.text),
  );
}
