/**
 * The images of a consult: small ones in a row, a large one on a tap, and a way to add one (the camera of a tablet
 * included). Used on the consult pages and in the call: `const images = await startImages(root, consultId)`, then
 * `images.attach(file, "still")` adds a picture from elsewhere.
 *
 * What is chosen stays chosen until the node has it: a refusal says why and offers to try again.
 */

import { getJson, send as sendForm } from "../lib/api.js";
import { all, el, find, icon } from "../lib/dom.js";
import { formatMoment, t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";

/**
 * @typedef {object} ConsultImage
 * @property {string} id
 * @property {string} kind
 * @property {string} kind_name
 * @property {string} caption
 * @property {string} author_name
 * @property {string} written_at
 * @property {number} width
 * @property {number} height
 * @property {boolean} [here]
 */

export class ConsultImages {
  /** @type {string[]} */ #kinds = [];

  /**
   * @param {HTMLElement} root
   * @param {string} consult
   * @param {{ onCount?: (count: number) => void, canAdd?: boolean }} [options]
   */
  constructor(root, consult, options = {}) {
    this.consult = consult;
    this.options = options;
    this.empty = el("p", { class: "soft" }, t("No images yet."));
    this.list = el("ul", { class: "image-list", "aria-label": t("Images") });
    this.large = el("figure", { class: "image-large", hidden: true });
    this.note = el("div", { class: "image-note", role: "status" });
    this.kind = el("select", { class: "input", "aria-label": t("What the image shows") });
    this.file = el("input", { type: "file", accept: "image/jpeg,image/png,image/webp", class: "visually-hidden", id: `image-${consult}-${root.id}` });
    this.adder = el(
      "div",
      { class: "image-add row", hidden: true },
      this.kind,
      el("label", { class: "button", for: this.file.id }, icon("photo"), el("span", {}, t("Add an image"))),
      this.file,
    );
    root.replaceChildren(this.empty, this.list, this.large, this.note, this.adder);
    this.file.addEventListener("change", () => {
      const file = this.file.files?.[0];
      if (file) void this.attach(file, this.kind.value).catch(() => {});
      this.file.value = "";
    });
    this.list.addEventListener("click", (event) => this.#onClick(event));
    watch(`consult:${consult}`, {
      "attachment:new": (image) => this.#show({ ...image, here: true }),
      joined: () => void this.load(),
    });
  }

  /** Read the images so far. */
  async load() {
    try {
      const talk = await getJson(`/consults/${this.consult}/conversation`);
      if (!this.#kinds.length) {
        this.#kinds = talk.kinds.map((/** @type {{ code: string }} */ kind) => kind.code);
        this.kind.replaceChildren(...talk.kinds.filter((/** @type {any} */ k) => k.code !== "still").map((/** @type {any} */ k) => el("option", { value: k.code }, k.name)));
      }
      this.adder.hidden = !talk.may_add || this.options.canAdd === false;
      for (const image of talk.images) this.#show(image);
    } catch (problem) {
      this.#tell(problem instanceof Error ? problem.message : String(problem));
    }
  }

  /**
   * Add an image to the consult.
   *
   * @param {File} file
   * @param {string} [kind]  wound, ecg, report, still, other
   * @returns {Promise<void>}  once the node has it; throws with the node's sentence
   */
  async attach(file, kind = "other", id = crypto.randomUUID()) {
    this.#tell(t("The image is being sent…"));
    const form = new FormData();
    form.append("image", file, file.name);
    form.append("kind", kind);
    form.append("id", id);
    try {
      const answer = await sendForm("POST", `/consults/${this.consult}/images`, form);
      this.#tell("");
      this.#show({ ...answer.image, here: true });
    } catch (problem) {
      const sentence = problem instanceof Error ? problem.message : String(problem);
      this.#tell(sentence, () => void this.attach(file, kind, id).catch(() => {}));
      throw problem;
    }
  }

  /** @param {ConsultImage} image */
  #show(image) {
    const known = find(`[data-image="${CSS.escape(image.id)}"]`, this.list);
    const label = [t(image.kind_name), image.caption].filter(Boolean).join(" · ");
    const about = `${label} · ${image.author_name} ${formatMoment(image.written_at)}`;
    const shown = el(
      "li",
      { "data-image": image.id, "data-about": about },
      image.here === false
        ? el("span", { class: "image-coming soft small" }, t("On its way"))
        : el("button", { type: "button", class: "image-button", "aria-label": about }, el("img", { src: `/images/${image.id}?small=1`, alt: "", loading: "lazy" })),
      el("span", { class: "small" }, label),
      el("span", { class: "small soft" }, formatMoment(image.written_at)),
    );
    if (known) known.replaceWith(shown);
    else this.list.append(shown);
    this.empty.hidden = true;
    this.options.onCount?.(all("[data-image]", this.list).length);
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    if (!(event.target instanceof Element)) return;
    const item = /** @type {HTMLElement | null} */ (event.target.closest("[data-image]"));
    if (!item || !event.target.closest("button")) return;
    const close = el("button", { type: "button", class: "button" }, icon("close"), el("span", {}, t("Close the picture")));
    close.addEventListener("click", () => {
      this.large.hidden = true;
      find("button", item)?.focus();
    });
    const full = el("a", { class: "button", href: `/images/${item.dataset.image}`, target: "_blank", rel: "noopener" }, icon("expand"), el("span", {}, t("In full size")));
    this.large.replaceChildren(
      el("img", { src: `/images/${item.dataset.image}`, alt: item.dataset.about }),
      el("figcaption", {}, item.dataset.about ?? ""),
      el("div", { class: "row" }, full, close),
    );
    this.large.hidden = false;
    close.focus();
  }

  /**
   * @param {string} sentence
   * @param {() => void} [again]
   */
  #tell(sentence, again) {
    this.note.replaceChildren();
    if (!sentence) return;
    this.note.append(el("p", {}, sentence));
    if (!again) return;
    const button = el("button", { type: "button", class: "button" }, icon("again"), el("span", {}, t("Try again")));
    button.addEventListener("click", again);
    this.note.append(button);
  }
}

/**
 * @param {HTMLElement} root
 * @param {string} consult
 * @param {{ onCount?: (count: number) => void, canAdd?: boolean }} [options]
 */
export async function startImages(root, consult, options = {}) {
  const images = new ConsultImages(root, consult, options);
  await images.load();
  return images;
}
