/**
 * The opinion being written: kept on this machine at every key and at the node at every pause, shown as "Saved 14:05".
 *
 * A second window with the same opinion never overwrites this one: both texts are shown and the writer chooses. A login
 * that has run out keeps the text here, and it is saved as soon as the person is back.
 */

import { announce } from "../lib/announce.js";
import { ApiError, postJson, showFieldError } from "../lib/api.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { byId, el, find } from "../lib/dom.js";
import { Draft, readForm } from "../lib/draft.js";
import { formatTime, t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";

const PAUSE_MS = 1200;
const RETRY_MS = 5000;
const TEXTS = ["impression", "advice", "medicines", "refer_to", "review_on"];

/** @typedef {{ impression: string, advice: string, medicines: string, refer: boolean, refer_to: string, review_on: string }} Fields */

/** @typedef {HTMLInputElement | HTMLTextAreaElement} Control */

export class OpinionForm {
  #timer = 0;
  #running = Promise.resolve();
  #sentText = "";
  #stopped = false;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.revision = Number(form.dataset.revision);
    this.draft = new Draft(`opinion:${form.dataset.consult}`);
    this.saved = byId("opinion-saved");
    this.#sentText = JSON.stringify(this.fields({ rendered: true }));
    this.#putBack();
    if (this.isUnsaved) this.#changed(); // also what was typed before this module ran
    form.addEventListener("input", () => this.#changed());
    form.addEventListener("change", () => this.#changed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      void this.sign(event.submitter instanceof HTMLElement ? event.submitter : null);
    });
    document.addEventListener("login:renewed", () => this.#soon(0));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.#soon(0);
    });
  }

  /** Whether something stands here that the node does not have. */
  get isUnsaved() {
    return this.#text() !== this.#sentText;
  }

  /** Put back what this machine kept, if the node does not have it: a crash, or a login that ended. */
  #putBack() {
    const kept = this.draft.read();
    const savedAt = this.form.dataset.saved ? Date.parse(this.form.dataset.saved) : 0;
    if (!kept || kept.at <= savedAt) {
      this.draft.confirmed();
      return;
    }
    const values = /** @type {Record<string, any>} */ ({ ...kept.values });
    for (const name of TEXTS) if (this.#control(name).value !== this.#control(name).defaultValue) delete values[name];
    this.#write(values);
    if (this.isUnsaved) toast(t("What you wrote at %(time)s was kept on this machine and is back.", { time: formatTime(kept.at) }));
  }

  #changed() {
    this.#mark();
    if (!this.draft.keep(readForm(this.form))) this.#say(t("This machine has no room to keep the text. It is kept at the hub."));
    for (const name of TEXTS) showFieldError(name, null);
    this.#soon(PAUSE_MS);
  }

  /** @param {number} wait */
  #soon(wait) {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = window.setTimeout(() => {
      this.#running = this.#running.then(() => this.#save());
    }, wait);
  }

  async #save() {
    if (this.#stopped || !this.isUnsaved) return;
    const text = this.#text();
    const values = readForm(this.form);
    this.#say(t("Saving…"), "saving");
    try {
      const answer = await postJson(String(this.form.dataset.draft), { opinion: this.fields(), revision: this.revision });
      this.revision = answer.revision;
      this.#sentText = text;
      this.draft.confirmed(values);
      this.#say(t("Saved %(time)s", { time: formatTime(answer.saved_at) }));
      this.#mark();
      if (this.isUnsaved) this.#soon(PAUSE_MS);
    } catch (problem) {
      this.#say(problem instanceof Error ? problem.message : String(problem), "failed");
      if (!(problem instanceof ApiError)) return;
      if (problem.code === "draft_conflict") await this.#compare();
      else if (problem.status === 0 || problem.status >= 500) this.#soon(RETRY_MS);
    }
  }

  /**
   * Sign. What is missing is said at its field; the text stays.
   *
   * @param {HTMLElement | null} button
   */
  async sign(button) {
    if (button?.getAttribute("aria-busy") === "true") return;
    if (button) setBusy(button);
    clearTimeout(this.#timer);
    await this.#running;
    try {
      const answer = await postJson(String(this.form.dataset.sign), { opinion: this.fields(), revision: this.revision });
      this.#stopped = true;
      this.draft.confirmed();
      location.assign(answer.url);
      if (location.pathname === answer.url) location.reload();
    } catch (problem) {
      if (button) setIdle(button);
      if (!(problem instanceof ApiError)) throw problem;
      if (problem.code === "draft_conflict") {
        await this.#compare();
      } else if (problem.field && showFieldError(problem.field.replace("opinion.", ""), problem.sentence)) {
        document.getElementById("tab-tab-write")?.click();
        document.getElementById(`f-${problem.field.replace("opinion.", "")}`)?.focus();
      } else if (problem.code !== "login") {
        toast(problem.sentence, { stays: true });
      }
      announce(problem.sentence, { urgent: true });
    }
  }

  /**
   * @param {{ rendered?: boolean }} [which]  `rendered`: as the node wrote them, and not as they stand now
   * @returns {Fields}
   */
  fields({ rendered = false } = {}) {
    const value = (/** @type {string} */ name) => this.#control(name)[rendered ? "defaultValue" : "value"];
    return {
      impression: value("impression"),
      advice: value("advice"),
      medicines: value("medicines"),
      refer: /** @type {HTMLInputElement} */ (this.#control("refer"))[rendered ? "defaultChecked" : "checked"],
      refer_to: value("refer_to"),
      review_on: value("review_on"),
    };
  }

  /** Show the text of the other window beside ours; the writer chooses, nothing is thrown away unseen. */
  async #compare() {
    const theirs = await this.#theirs();
    if (!theirs) return;
    const place = byId("opinion-conflict");
    const mine = el("button", { type: "button", class: "button" }, t("Go on with this text"));
    const other = el("button", { type: "button", class: "button" }, t("Take the other text"));
    const parts = TEXTS.filter((name) => (theirs.fields[name] ?? "") !== this.#control(name).value);
    place.replaceChildren(
      el(
        "div",
        { class: "notice notice-warning" },
        el(
          "div",
          { class: "notice-text stack-small" },
          el("b", {}, t("This opinion was changed in another window. Both texts are kept.")),
          ...parts.map((name) => el("p", { class: "prose" }, el("b", {}, `${this.#label(name)}  `), theirs.fields[name] || t("(empty)"))),
          el("div", { class: "row" }, other, mine),
        ),
      ),
    );
    const settle = () => {
      this.revision = theirs.revision;
      place.replaceChildren();
      this.#changed();
    };
    mine.addEventListener("click", settle);
    other.addEventListener("click", () => {
      this.#write(theirs.fields);
      settle();
    });
  }

  /** @returns {Promise<{ fields: Record<string, any>, revision: number } | null>} */
  async #theirs() {
    const answer = await fetch(String(this.form.dataset.draft), { headers: { Accept: "application/json", "X-Requested-With": "fetch" } });
    return answer.ok ? await answer.json() : null;
  }

  /** @param {string} name */
  #label(name) {
    return find(`[data-field="${name}"] .field-label`, this.form)?.firstChild?.textContent?.trim() ?? name;
  }

  /** @param {Record<string, any>} values */
  #write(values) {
    for (const name of TEXTS) if (typeof values[name] === "string" || values[name] === null) this.#control(name).value = values[name] ?? "";
    const refer = /** @type {HTMLInputElement} */ (this.#control("refer"));
    if (values.refer !== undefined) refer.checked = Array.isArray(values.refer) ? values.refer.length > 0 : Boolean(values.refer);
  }

  #text() {
    return JSON.stringify(this.fields());
  }

  /**
   * @param {string} name
   * @returns {Control}
   */
  #control(name) {
    return /** @type {Control} */ (this.form.elements.namedItem(name));
  }

  /**
   * @param {string} sentence
   * @param {"saving" | "failed"} [state]
   */
  #say(sentence, state) {
    this.saved.textContent = sentence;
    if (state) this.saved.dataset.state = state;
  }

  /** Say to programs, in no language, whether the node has all that stands here. */
  #mark() {
    this.saved.dataset.state = this.isUnsaved ? "unsaved" : "saved";
  }
}

/** Start the opinion form, if the page has one. */
export function startOpinion() {
  const form = document.getElementById("opinion");
  return form instanceof HTMLFormElement ? new OpinionForm(form) : null;
}
