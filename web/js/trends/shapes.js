/** The shapes that a chart and its legend share. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
export function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/**
 * @param {string} words
 * @param {Record<string, string | number>} attributes
 * @param {string} [name]
 */
export function text(words, attributes, name = "text") {
  const element = shape(name, attributes);
  element.textContent = words;
  return element;
}

let hatches = 0;

/**
 * @param {string} key
 * @param {{ x: number, y: number, width: number, height: number }} at
 */
export function groundOf(key, at) {
  if (key !== "systolic") return [shape("rect", { class: "trend-target", ...at })];
  const id = `trend-hatch-${(hatches += 1)}`;
  const pattern = shape("pattern", { id, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(shape("line", { class: "trend-hatch", x1: 0, x2: 0, y1: 0, y2: 7 }));
  return [pattern, shape("rect", { fill: `url(#${id})`, ...at })];
}

/**
 * The mark's shape as everywhere: ▲ danger, ● warning; ✕ for a value that cannot be.
 *
 * @param {Element} svg
 * @param {number} x
 * @param {number} y
 * @param {string} level
 * @param {boolean} beyond
 */
export function drawMark(svg, x, y, level, beyond) {
  if (beyond) svg.append(shape("path", { class: "trend-mark trend-mark-beyond", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` }));
  else if (level === "danger") svg.append(shape("path", { class: "trend-mark trend-mark-danger", d: `M${x} ${y - 5}l5 8h-10z` }));
  else svg.append(shape("circle", { class: "trend-mark trend-mark-warning", cx: x, cy: y, r: 3.5 }));
}
