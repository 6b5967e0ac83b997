/**
 * HTTP to our own node: JSON or forms out, JSON back, one plain sentence when it did not work.
 *
 * A login that has run out is told to the page by the event "login:expired" on `document`; js/shell.js then asks for
 * the password in place, and "login:renewed" says that calls work again. Nothing that was written is lost.
 */

import { t } from "./i18n.js";

/** What went wrong, as a sentence for the person and a stable code for the program. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} sentence
   * @param {{ status?: number, field?: string }} [more]  status 0: the node was not reached
   */
  constructor(code, sentence, more = {}) {
    super(sentence);
    this.name = "ApiError";
    this.code = code;
    this.sentence = sentence;
    this.status = more.status ?? 0;
    this.field = more.field ?? null;
  }
}

/** The token that every change must carry. */
export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
}

/**
 * Put a new token where the page keeps it: after a new login the old one is worthless.
 *
 * @param {string} token
 */
export function setCsrfToken(token) {
  document.querySelector('meta[name="csrf-token"]')?.setAttribute("content", token);
  for (const input of document.querySelectorAll('input[name="csrf_token"]')) {
    /** @type {HTMLInputElement} */ (input).value = token;
  }
}

/**
 * @param {string} url
 * @returns {Promise<any>}
 */
export function getJson(url) {
  return send("GET", url);
}

/**
 * @param {string} url
 * @param {unknown} [data]  sent as JSON; a FormData is sent as a form (files)
 * @returns {Promise<any>}
 */
export function postJson(url, data = {}) {
  return send("POST", url, data);
}

/**
 * @param {"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} method
 * @param {string} url
 * @param {unknown} [data]
 * @param {boolean} [isAgain]  a second try, with a fresh token
 * @returns {Promise<any>}  the answer's JSON; null when it has none
 * @throws {ApiError}
 */
export async function send(method, url, data, isAgain = false) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", "X-Requested-With": "fetch" };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  /** @type {BodyInit | undefined} */
  let body;
  if (data instanceof FormData) {
    body = data;
  } else if (data !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(data);
  }
  const answer = await reach(url, { method, headers, body, credentials: "same-origin" });
  const value = await readJson(answer);
  if (answer.ok && value?.ok !== false) return value;
  if (value?.code === "csrf" && !isAgain && (await isStillThisPerson())) return send(method, url, data, true);
  if (answer.status === 401 || value?.code === "csrf") {
    document.dispatchEvent(new CustomEvent("login:expired"));
    throw new ApiError("login", t("The login has run out. What you wrote is still here. Log in again and go on."), { status: 401 });
  }
  throw new ApiError(
    value?.code ?? `http_${answer.status}`,
    value?.sentence ?? t("The node could not do this. What you wrote is still here. Try again."),
    { status: answer.status, field: value?.field },
  );
}

/**
 * The token has run out together with the cookie, or belongs to another login of this browser. Takes a fresh one, and
 * says whether this page's person is the one who is logged in: nothing goes out under another name.
 */
async function isStillThisPerson() {
  const { csrf_token, user_id } = await send("GET", "/login.json");
  const owner = document.documentElement.dataset.person ?? "";
  if (user_id && user_id !== owner) {
    document.dispatchEvent(new CustomEvent("login:other"));
    throw new ApiError("login", t("Somebody else has logged in in this browser. What you wrote is kept. Load the page again."), { status: 401 });
  }
  setCsrfToken(csrf_token);
  return Boolean(user_id);
}

/**
 * @param {string} url
 * @param {RequestInit} options
 */
async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new ApiError("unreachable", t("The node was not reached. What you wrote is still here. Try again in a moment."));
  }
}

/** @param {Response} answer */
async function readJson(answer) {
  if (!answer.headers.get("Content-Type")?.includes("json")) return null;
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

/**
 * Show the sentence at its field of a form made with the form macros, or take it away again.
 *
 * @param {string} name  the field's name
 * @param {string | null} sentence
 * @returns {boolean}  whether the page has the field
 */
export function showFieldError(name, sentence) {
  const field = document.querySelector(`[data-field="${CSS.escape(name)}"]`);
  const place = field?.querySelector(".field-error");
  if (!field || !place) return false;
  const text = place.querySelector("[data-error-text]");
  if (text) text.textContent = sentence ?? "";
  place.toggleAttribute("hidden", !sentence);
  const control = field.querySelector(".input, input");
  if (sentence) control?.setAttribute("aria-invalid", "true");
  else control?.removeAttribute("aria-invalid");
  return true;
}
