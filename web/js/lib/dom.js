/** Finding and making elements. Text is always set as text: nothing here reads HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T | null}
 */
export function find(selector, within = document) {
  return /** @type {T | null} */ (within.querySelector(selector));
}

/**
 * The element with this id, which the page must have.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}.`);
  return /** @type {T} */ (element);
}

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T[]}
 */
export function all(selector, within = document) {
  return /** @type {T[]} */ ([...within.querySelectorAll(selector)]);
}

/**
 * Make an element: `el("p", { class: "soft", "data-id": 7 }, "text", child)`.
 * An attribute that is null, undefined or false is left out; true is written without a value.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * An icon of web/icons/icons.svg.
 *
 * @param {string} name
 * @param {{ label?: string, class?: string }} [options]  without a label it is decoration
 * @returns {SVGSVGElement}
 */
export function icon(name, options = {}) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", options.class ? `icon ${options.class}` : "icon");
  if (options.label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", options.label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${iconsUrl()}#${name}`);
  svg.append(use);
  return svg;
}

/**
 * Show another icon in an <svg class="icon">.
 *
 * @param {Element} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  svg.querySelector("use")?.setAttribute("href", `${iconsUrl()}#${name}`);
}

function iconsUrl() {
  return document.documentElement.dataset.icons ?? "/static/icons/icons.svg";
}

/**
 * Shape, word and colour together, as the macro `ui.status` draws it.
 *
 * @param {"danger" | "warning" | "ok" | "off" | "info" | "live" | "ended"} level
 * @param {string} word
 * @param {string} [more]  further classes
 */
export function status(level, word, more = "") {
  return el("span", { class: `status status-${level} ${more}`.trim() }, icon(`mark-${level}`), el("span", {}, word));
}

/**
 * A copy of a <template>'s first element with its [data-slot] texts filled in. A value that is null or "" hides
 * the [data-part] of the same name, if the template has one.
 *
 * @param {string} id
 * @param {Record<string, string | number | null | undefined>} [values]
 * @returns {HTMLElement}
 */
export function fromTemplate(id, values = {}) {
  const template = /** @type {HTMLTemplateElement} */ (byId(id));
  const first = template.content.firstElementChild;
  if (!first) throw new Error(`The template #${id} is empty.`);
  const copy = /** @type {HTMLElement} */ (first.cloneNode(true));
  fill(copy, values);
  return copy;
}

/**
 * Set the [data-slot] texts of an element; see `fromTemplate`.
 *
 * @param {HTMLElement} element
 * @param {Record<string, string | number | null | undefined>} values
 */
export function fill(element, values) {
  for (const [name, value] of Object.entries(values)) {
    const text = value === null || value === undefined ? "" : String(value);
    for (const slot of all(`[data-slot="${name}"]`, element)) slot.textContent = text;
    for (const part of all(`[data-part="${name}"]`, element)) part.hidden = text === "";
  }
}

/** Whether the person asked for less motion. */
export function prefersLessMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
