/**
 * Keeps what is being written on this machine until the node has confirmed that it has it.
 *
 * A draft belongs to one person and one key ("opinion:<consult id>"): machines are shared. It outlives a reload, a
 * crash and a lost login; `confirmed` removes it. What is older than three days is removed unseen.
 */

const PREFIX = "teleconsult.draft.";
const KEPT_MS = 3 * 24 * 60 * 60 * 1000;

/** @typedef {Record<string, string | string[]>} Values */

export class Draft {
  /**
   * @param {string} key
   * @param {string} [personId]
   */
  constructor(key, personId = document.documentElement.dataset.person ?? "") {
    this.name = `${PREFIX}${personId}.${key}`;
    sweep();
  }

  /** @returns {{ values: Values, at: number } | null}  what was kept, and when (milliseconds) */
  read() {
    try {
      return JSON.parse(localStorage.getItem(this.name) ?? "null");
    } catch {
      return null;
    }
  }

  /**
   * @param {Values} values
   * @returns {boolean}  false when this machine has no room left for it
   */
  keep(values) {
    try {
      localStorage.setItem(this.name, JSON.stringify({ values, at: Date.now() }));
      return true;
    } catch {
      return false;
    }
  }

  /** The node has it. Pass what was sent: text that was changed meanwhile is not thrown away. */
  confirmed(/** @type {Values | undefined} */ sent = undefined) {
    if (sent && JSON.stringify(this.read()?.values) !== JSON.stringify(sent)) return;
    localStorage.removeItem(this.name);
  }

  /**
   * Put a kept draft back into the form and keep every further change.
   *
   * @param {HTMLFormElement} form
   * @returns {number | null}  when the draft that was put back was written; null if there was none
   */
  attach(form) {
    const kept = this.read();
    if (kept) writeForm(form, kept.values);
    const keep = () => this.keep(readForm(form));
    form.addEventListener("input", keep);
    form.addEventListener("change", keep);
    return kept ? kept.at : null;
  }
}

/**
 * The form's values by name; passwords, files and the CSRF token are never kept.
 *
 * @param {HTMLFormElement} form
 * @returns {Values}
 */
export function readForm(form) {
  /** @type {Values} */
  const values = {};
  for (const field of controls(form)) {
    if (field instanceof HTMLInputElement && (field.type === "checkbox" || field.type === "radio")) {
      const chosen = /** @type {string[]} */ (values[field.name] ?? []);
      values[field.name] = field.checked ? [...chosen, field.value] : chosen;
    } else {
      values[field.name] = field.value;
    }
  }
  return values;
}

/**
 * @param {HTMLFormElement} form
 * @param {Values} values
 */
export function writeForm(form, values) {
  for (const field of controls(form)) {
    const value = values[field.name];
    if (value === undefined) continue;
    if (field instanceof HTMLInputElement && (field.type === "checkbox" || field.type === "radio")) {
      field.checked = Array.isArray(value) && value.includes(field.value);
    } else if (typeof value === "string") {
      field.value = value;
    }
  }
}

/** @param {HTMLFormElement} form */
function controls(form) {
  return [...form.elements].filter(
    /** @returns {field is HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} */
    (field) =>
      (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement || field instanceof HTMLSelectElement) &&
      Boolean(field.name) &&
      field.name !== "csrf_token" &&
      !["password", "file", "submit", "button"].includes(field.type),
  );
}

function sweep() {
  for (const name of Object.keys(localStorage)) {
    if (!name.startsWith(PREFIX)) continue;
    try {
      if (Date.now() - JSON.parse(localStorage.getItem(name) ?? "").at < KEPT_MS) continue;
    } catch {
      // What cannot be read cannot be put back either.
    }
    localStorage.removeItem(name);
  }
}
