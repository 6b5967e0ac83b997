/**
 * This person's place in a consult's call: enters it, keeps it, and comes back by itself after whatever breaks.
 * No DOM here; js/call/panel.js shows what this tells.
 *
 * What can break, and what then happens without a click (docs/live.md):
 * - the socket to our node or the vehicle's uplink: media goes on; when it is back the hub is told (`call:resume`);
 * - the media connection: a new peer joins;
 * - the media worker: the hub says `call:reset`, a new peer joins.
 */

import { LiveError, onConnection, request, watch } from "../lib/socket.js";
import { MediaPeer, word } from "../media/peer.js";

/** @typedef {import("../media/peer.js").Quality} Quality */

/**
 * @typedef {object} Participant
 * @property {string} id
 * @property {string} user_id
 * @property {string} name
 * @property {string} role
 * @property {string} organization
 * @property {boolean} audio
 * @property {boolean} video
 * @property {boolean} connected
 * @property {string | null} word
 */

/**
 * idle: not in the call; joining; live: media flows; broken: being mended; away: the way to the hub is lost, media may
 * go on; replaced: another window has taken over; ended; refused: this person may not enter.
 *
 * @typedef {"idle" | "joining" | "live" | "broken" | "away" | "replaced" | "ended" | "refused"} CallState
 */

/**
 * @typedef {object} CallSessionEvents
 * @property {{ state: CallState, sentence: string }} state
 * @property {Participant[]} participants
 * @property {{ participant: string, stream: MediaStream }} stream
 * @property {{ participant: string }} gone
 * @property {Quality} quality
 * @property {{ sentence: string }} notice
 * @property {string} started
 */

const RETRY_MS = [500, 1000, 2000, 4000];
const OVER = ["ended", "refused", "replaced", "idle"];

export class CallSession extends EventTarget {
  /** @type {Participant[]} */ participants = [];
  /** The participant id that the hub gave us. @type {string | null} */ self = null;
  /** @type {CallState} */ state = "idle";
  #consult;
  #user;
  /** @type {MediaStream} */ #stream = new MediaStream();
  #enabled = { audio: true, video: true };
  /** @type {MediaPeer | null} */ #peer = null;
  #peerId = "";
  /** Messages of the worker that came before the answer to our join. @type {any[]} */ #early = [];
  /** Settled when the hub has answered our last wish to enter. @type {Promise<void>} */ #entering = Promise.resolve();
  #attempt = 0;
  #generation = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  /** @type {(() => void)[]} */ #stops = [];
  #socketOnline = false;
  #uplinkOnline = true;
  #toldWord = "";

  /**
   * @param {string} consultId
   * @param {string} userId
   */
  constructor(consultId, userId) {
    super();
    this.#consult = consultId;
    this.#user = userId;
  }

  /**
   * @template {keyof CallSessionEvents} K
   * @param {K} name
   * @param {(detail: CallSessionEvents[K]) => void} listener
   */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    return this;
  }

  /** The others in the call. */
  get others() {
    return this.participants.filter(({ user_id: id }) => id !== this.#user);
  }

  /** Hear about the call without being in it: who is there, and when it ends. */
  listen() {
    this.#stops.push(
      watch(`consult:${this.#consult}`, {
        "call:participants": (data) => this.#setParticipants(data.participants),
        "call:signal": (data) => this.#onSignal(data),
        "call:refused": (data) => this.#onRefused(data),
        "call:reset": () => this.#mend(),
        "call:replaced": () => this.#stop("replaced"),
        "call:ended": (data) => this.#stop(data.state === "removed" ? "refused" : "ended"),
      }),
      watch("node", { uplink: (data) => this.#setUplink(Boolean(data.online)) }),
      onConnection((connection) => this.#setSocket(connection === "online")),
    );
  }

  /**
   * Enter the call, and stay until told otherwise.
   *
   * @param {MediaStream} stream
   * @param {{ audio: boolean, video: boolean }} enabled
   */
  enter(stream, enabled) {
    this.#stream = stream;
    this.#enabled = { ...enabled };
    this.#attempt = 0;
    this.#set("joining");
    void this.#join();
  }

  /** Leave; the consult goes on and one can enter again. */
  async leave() {
    const [consult, peer, entering] = [this.#consult, this.#peerId, this.#entering];
    this.#stop("idle");
    await entering; // the hub may take two messages at once: leaving must not overtake entering
    if (peer) await request("call:leave", { consult_id: consult, peer }).catch(() => {});
  }

  /** End the call for everybody. @throws {LiveError} */
  async end() {
    await request("call:end", { consult_id: this.#consult });
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   */
  setEnabled(kind, enabled) {
    this.#enabled[kind] = enabled;
    for (const track of this.#stream.getTracks()) if (track.kind === kind) track.enabled = enabled;
    this.#peer?.setEnabled(kind, enabled);
    this.#tellMedia();
  }

  /**
   * Another camera or microphone, or null for none.
   *
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(kind, track) {
    for (const old of this.#stream.getTracks()) {
      if (old.kind !== kind) continue;
      this.#stream.removeTrack(old);
      old.stop();
    }
    if (track) {
      track.enabled = this.#enabled[kind];
      this.#stream.addTrack(track);
    }
    await this.#peer?.replaceTrack(kind, track);
    this.#tellMedia();
  }

  /** What the others are told of our microphone and camera: switched on, and there. */
  #media() {
    const has = (/** @type {string} */ kind) =>
      this.#stream.getTracks().some((track) => track.kind === kind && track.readyState === "live");
    return { audio: this.#enabled.audio && has("audio"), video: this.#enabled.video && has("video") };
  }

  #tellMedia() {
    if (!this.#peer) return;
    request("call:media", { consult_id: this.#consult, ...this.#media() }).catch(() => {});
  }

  // -- entering ------------------------------------------------------------------------------------------

  async #join() {
    clearTimeout(this.#retry);
    const generation = ++this.#generation;
    this.#dropPeer();
    const peerId = crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    this.#peerId = peerId;
    this.#early = [];
    let answer;
    const asked = request("call:join", { consult_id: this.#consult, peer: peerId, ...this.#media() });
    this.#entering = asked.then(() => undefined, () => undefined);
    try {
      answer = await asked;
    } catch (error) {
      if (generation === this.#generation) this.#onJoinFailed(error);
      return;
    }
    if (generation !== this.#generation) return;
    this.self = answer.participant;
    this.#setParticipants(answer.participants);
    if (answer.started_at) this.#tell("started", answer.started_at);
    this.#openPeer(answer.ice_servers);
  }

  /** @param {unknown} error */
  #onJoinFailed(error) {
    const live = error instanceof LiveError ? error : null;
    if (live?.code === "login") return this.#set("away", live.sentence);
    if (live && ["not_allowed", "not_found", "invalid", "conflict"].includes(live.code)) {
      const known = live.code === "conflict" ? "ended" : "refused";
      this.#stop(known, live.sentence);
      return;
    }
    this.#set("away", live?.sentence ?? "");
    this.#retryLater();
  }

  #retryLater() {
    clearTimeout(this.#retry);
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)];
    this.#attempt += 1;
    this.#retry = setTimeout(() => void this.#join(), wait);
  }

  /** @param {RTCIceServer[]} iceServers */
  #openPeer(iceServers) {
    const peer = new MediaPeer({ send: (message) => void this.#signal(message), stream: this.#stream, iceServers });
    this.#peer = peer;
    peer.setEnabled("audio", this.#enabled.audio);
    peer.setEnabled("video", this.#enabled.video);
    peer.on("stream", (detail) => this.#tell("stream", detail));
    peer.on("gone", (detail) => this.#tell("gone", detail));
    peer.on("notice", ({ sentence }) => this.#tell("notice", { sentence }));
    peer.on("quality", (quality) => this.#onQuality(quality));
    peer.on("state", ({ state }) => {
      if (peer !== this.#peer) return;
      if (state === "connected") {
        this.#attempt = 0;
        this.#set(this.#isReachable ? "live" : "away");
      } else if (state === "disconnected") this.#set("broken");
    });
    peer.on("lost", ({ rejoin }) => {
      if (peer !== this.#peer) return;
      if (rejoin) this.#mend();
      else this.#stop("replaced");
    });
    for (const message of this.#early.splice(0)) peer.receive(message);
  }

  #dropPeer() {
    const peer = this.#peer;
    this.#peer = null;
    peer?.close();
  }

  // -- signalling ----------------------------------------------------------------------------------------

  /** @param {any} message */
  async #signal(message) {
    const peer = this.#peerId;
    try {
      await request("call:signal", { consult_id: this.#consult, peer, message });
    } catch (error) {
      // A message that did not get through is sent again by either side (docs/media.md).
      if (peer === this.#peerId && error instanceof LiveError && error.code === "conflict") this.#mend();
    }
  }

  /** @param {{ peer: string, message: any }} data */
  #onSignal({ peer, message }) {
    if (peer !== this.#peerId) return;
    if (this.#peer) this.#peer.receive(message);
    else this.#early.push(message);
  }

  /** @param {{ peer: string, code: string, sentence: string }} data */
  #onRefused({ peer, code, sentence }) {
    if (peer !== this.#peerId) return;
    if (code === "unknown_peer" || code === "unexpected") this.#mend();
    else this.#tell("notice", { sentence });
  }

  // -- mending -------------------------------------------------------------------------------------------

  #mend() {
    if (OVER.includes(this.state)) return;
    this.#set("broken");
    if (!this.#isReachable) return; // joined again as soon as the hub can be reached
    if (this.#attempt === 0) {
      this.#attempt = 1;
      void this.#join();
    } else {
      this.#retryLater();
    }
  }

  get #isReachable() {
    return this.#socketOnline && this.#uplinkOnline;
  }

  /** @param {boolean} online */
  #setSocket(online) {
    const back = online && !this.#socketOnline;
    this.#socketOnline = online;
    this.#onReach(back);
  }

  /** @param {boolean} online */
  #setUplink(online) {
    const back = online && !this.#uplinkOnline;
    this.#uplinkOnline = online;
    this.#onReach(back);
  }

  /** @param {boolean} back */
  #onReach(back) {
    if (OVER.includes(this.state)) return;
    if (!this.#isReachable) {
      if (this.state === "live") this.#set("away");
      return;
    }
    if (back) void this.#resume();
  }

  async #resume() {
    const peer = this.#peer;
    const alive = peer && ["connected", "connecting", "disconnected"].includes(peer.state);
    if (!alive) return this.#join();
    try {
      const answer = await request("call:resume", { consult_id: this.#consult, peer: this.#peerId });
      if (peer !== this.#peer) return undefined;
      if (!answer.resumed) return this.#join();
      this.#setParticipants(answer.participants);
      if (peer.state === "connected") this.#set("live");
      this.#tellMedia();
      return undefined;
    } catch (error) {
      if (error instanceof LiveError && ["conflict", "not_allowed", "not_found"].includes(error.code)) {
        return this.#stop("ended", error.sentence);
      }
      return this.#retryLater();
    }
  }

  // -- telling -------------------------------------------------------------------------------------------

  /** @param {Quality} quality */
  #onQuality(quality) {
    // No picture where every other camera is off is no fault of the network.
    const wanted = this.others.some((one) => one.video && one.connected);
    const heard = wanted ? quality : { ...quality, word: word(quality, false) };
    this.#tell("quality", heard);
    if (heard.word === this.#toldWord) return;
    this.#toldWord = heard.word;
    request("call:quality", { consult_id: this.#consult, word: heard.word }).catch(() => {});
  }

  /** @param {Participant[]} participants */
  #setParticipants(participants) {
    this.participants = participants;
    this.#tell("participants", participants);
  }

  /**
   * @param {CallState} state
   * @param {string} [sentence]
   */
  #stop(state, sentence = "") {
    if (OVER.includes(this.state) && state !== "idle") return;
    clearTimeout(this.#retry);
    this.#generation += 1;
    this.#dropPeer();
    this.#peerId = "";
    this.#set(state, sentence);
  }

  /**
   * @param {CallState} state
   * @param {string} [sentence]
   */
  #set(state, sentence = "") {
    this.state = state;
    this.#tell("state", { state, sentence });
  }

  /**
   * @template {keyof CallSessionEvents} K
   * @param {K} name
   * @param {CallSessionEvents[K]} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
