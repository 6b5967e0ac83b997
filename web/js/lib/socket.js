/**
 * The one Socket.IO connection of this tab to its node, namespace /live (docs/live.md).
 *
 * A login that has ended is told by "login:expired" on `document`, one of somebody else by "login:other".
 *
 * It connects when first asked for something, and again by itself for as long as the page is open. Topics that are
 * watched are watched again after each reconnect, and their `joined` handler is called each time so that a page can
 * read what it missed.
 */

import { io } from "/static/vendor/socket.io/socket.io.esm.min.js";
import { t } from "./i18n.js";

const ANSWER_WITHIN_MS = 10000;

/** An answer that was not `ok`, or that never came. */
export class LiveError extends Error {
  /**
   * @param {string} code
   * @param {string} sentence
   * @param {string | null} [field]
   */
  constructor(code, sentence, field = null) {
    super(sentence);
    this.name = "LiveError";
    this.code = code;
    this.sentence = sentence;
    this.field = field;
  }
}

/** @typedef {"connecting" | "online" | "offline"} ConnectionState */
/** @typedef {Record<string, (data: any) => void>} Handlers */

/** @type {ReturnType<typeof io> | null} */
let socket = null;
/** @type {ConnectionState} */
let state = "connecting";
/** @type {{ channel: string, node: any, user: any } | null} */
let greeting = null;
/** @type {Map<string, Set<Handlers>>} */
const topics = new Map();
const listeners = new EventTarget();

/** Connect now, without watching anything yet. */
export function connect() {
  if (socket) return socket;
  const live = io("/live", { transports: ["websocket", "polling"], reconnectionDelayMax: 5000, timeout: 8000 });
  socket = live;
  live.on("hello", (data) => {
    greeting = data;
    const person = document.documentElement.dataset.person;
    if (person && data?.user?.id && data.user.id !== person) document.dispatchEvent(new CustomEvent("login:other"));
  });
  live.on("session:ended", () => document.dispatchEvent(new CustomEvent("login:expired")));
  live.on("connect", () => {
    for (const topic of topics.keys()) void joinTopic(topic);
    setState("online");
  });
  live.on("disconnect", (reason) => {
    setState("offline");
    // The node ends a socket when its login ends; Socket.IO leaves it to us to try again then.
    if (reason === "io server disconnect") setTimeout(() => live.connect(), 1000);
  });
  live.on("connect_error", (error) => {
    setState("offline");
    const refused = /login/i.test(error.message);
    if (refused) document.dispatchEvent(new CustomEvent("login:expired"));
    // Socket.IO does not try again after a refusal. The new handshake carries the cookies of a later login.
    if (!live.active) setTimeout(() => live.connected || live.disconnect().connect(), refused ? 15000 : 5000);
  });
  live.onAny(dispatch);
  document.addEventListener("login:renewed", () => live.disconnect().connect());
  return live;
}

/** @param {ConnectionState} next */
function setState(next) {
  if (next === state) return;
  state = next;
  listeners.dispatchEvent(new CustomEvent("state", { detail: next }));
}

/** How the connection is now. */
export function connectionState() {
  return state;
}

/** What the node said when this tab connected; null before that. */
export function hello() {
  return greeting;
}

/**
 * Be told how the connection is: now, and at each change.
 *
 * @param {(state: ConnectionState) => void} listener
 * @returns {() => void}  stops it
 */
export function onConnection(listener) {
  const told = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
  listeners.addEventListener("state", told);
  listener(state);
  return () => listeners.removeEventListener("state", told);
}

/**
 * Ask the node for something.
 *
 * @param {string} event
 * @param {Record<string, unknown>} [data]
 * @param {{ timeoutMs?: number }} [options]
 * @returns {Promise<any>}  the acknowledgement, whose `ok` is true
 * @throws {LiveError}  with the node's sentence; code "timeout" when no answer came
 */
export async function request(event, data = {}, options = {}) {
  const live = connect();
  let answer;
  try {
    answer = await live.timeout(options.timeoutMs ?? ANSWER_WITHIN_MS).emitWithAck(event, data);
  } catch {
    throw new LiveError("timeout", t("The node did not answer. Nothing on this page is lost. Try again in a moment."));
  }
  if (answer?.ok) return answer;
  throw new LiveError(
    answer?.code ?? "unknown",
    answer?.sentence ?? t("The node could not do this. What you wrote is still here. Try again."),
    answer?.field ?? null,
  );
}

/**
 * Watch a topic. `handlers` is by event name; two names are special: `joined` is called whenever the topic is watched
 * anew, at first and after a lost connection (what happened before was missed), `refused` with the LiveError when the
 * topic may not be watched. How a node is now is told to whoever begins to watch "node"; records are read by the page.
 *
 * Events that name a consult are given only to the watchers of that consult (and of topics that are not a consult).
 *
 * @param {string} topic
 * @param {Handlers} handlers
 * @returns {() => void}  stops watching
 */
export function watch(topic, handlers) {
  const live = connect();
  const watchers = topics.get(topic);
  if (watchers) {
    watchers.add(handlers);
  } else {
    topics.set(topic, new Set([handlers]));
    if (live.connected) void joinTopic(topic);
  }
  return () => {
    const rest = topics.get(topic);
    rest?.delete(handlers);
    if (rest?.size) return;
    topics.delete(topic);
    if (live.connected) request("unwatch", { topic }).catch(() => {});
  };
}

/** @param {string} topic */
async function joinTopic(topic) {
  try {
    await request("watch", { topic });
    tell(topic, "joined", {});
  } catch (error) {
    // A lost connection is no refusal: the topic is joined again when it is back.
    if (error instanceof LiveError && error.code !== "timeout") tell(topic, "refused", error);
  }
}

/**
 * @param {string} event
 * @param {any} data
 */
function dispatch(event, data) {
  for (const topic of topics.keys()) {
    const consult = topic.startsWith("consult:") ? topic.slice("consult:".length) : null;
    if (consult && data?.consult_id && data.consult_id !== consult) continue;
    tell(topic, event, data);
  }
}

/**
 * @param {string} topic
 * @param {string} event
 * @param {any} data
 */
function tell(topic, event, data) {
  for (const handlers of topics.get(topic) ?? []) handlers[event]?.(data);
}
