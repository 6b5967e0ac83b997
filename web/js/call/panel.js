/**
 * The picture of the call and its buttons: one panel, used by the call page and inside the specialist's consult page
 * (templates/call/panel.html). What happens in the call is js/call/session.js; this shows it and passes on what the
 * person does.
 */

import { announce } from "../lib/announce.js";
import { setBusy, setIdle } from "../lib/behaviours.js";
import { all, el, fill, find, icon, setIcon } from "../lib/dom.js";
import { stopwatch, t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";
import { choose, fillSelect, listDevices, onDevicesChange, openBoth, openTrack, problemOf, useChosenSpeaker } from "./devices.js";
import { CallSession } from "./session.js";
import { QUALITY_LEVELS, qualityDeed, qualityName, roleName, stateSentence } from "./words.js";

/** @typedef {import("./session.js").Participant} Participant */
/** @typedef {import("./session.js").CallState} CallState */
/** @typedef {import("../media/peer.js").Quality} Quality */

const MARK = "teleconsult.call.inside";

const INSIDE = ["joining", "live", "broken", "away"];

/** @typedef {{ root: HTMLElement, video: HTMLVideoElement, name: HTMLElement, off: HTMLElement }} Tile */

export class CallPanel {
  /** @type {Map<string, Tile>} */ #tiles = new Map();
  /** @type {MediaStream} */ #stream = new MediaStream();
  #enabled = { audio: true, video: true };
  #startedAt = 0;
  #clock = 0;
  #large = "";
  /** Another number from each entering and leaving on: what was begun under an earlier one gives its devices back. */
  #visit = 0;
  #starting = false;

  /** @param {HTMLElement} root  the section of templates/call/panel.html; buttons may stand anywhere in the page */
  constructor(root) {
    this.root = root;
    this.consult = String(root.dataset.consult);
    this.user = String(root.dataset.user);
    this.session = new CallSession(this.consult, this.user);
    this.session.participants = JSON.parse(root.dataset.present || "[]");
    this.stage = /** @type {HTMLElement} */ (find("[data-call-stage]", root));
    this.tiles = /** @type {HTMLElement} */ (find("[data-call-tiles]", root));
    this.own = /** @type {HTMLVideoElement} */ (find("[data-call-own] video", root));
    this.#listen();
    this.#bind();
  }

  /** Show the call, and enter it if this person was in it before the page was loaded again. */
  start() {
    const started = this.root.dataset.started;
    if (started) this.#setStarted(started);
    this.session.listen();
    this.#showState("idle", "");
    if (this.root.dataset.auto === "true" || this.#wasInside()) void this.enter();
  }

  /** Ask for camera and microphone, and enter the call. */
  async enter() {
    this.#visit += 1;
    const visit = this.#visit;
    this.#starting = true;
    this.#showState("joining", t("Camera and microphone are being started…"));
    const { stream, problems } = await openBoth();
    if (visit !== this.#visit) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.#starting = false;
    this.#stream = stream;
    for (const track of stream.getTracks()) this.#follow(track);
    this.own.srcObject = stream;
    void this.own.play().catch(() => {});
    this.#showProblems(problems.map(({ sentence }) => sentence));
    this.#rememberInside(true);
    this.session.enter(stream, this.#enabled);
    this.#showSwitches();
    void listDevices().then((devices) => this.#showDevices(devices));
  }

  /** Leave the call; it goes on without this person. */
  async leave() {
    this.#rememberInside(false);
    const left = this.session.leave();
    this.#stopDevices();
    const visit = this.#visit;
    await left;
    if (visit === this.#visit) this.#showParticipants();
  }

  /**
   * The picture to take a still from: the large one, or the own one where there is no other.
   *
   * @returns {HTMLVideoElement | null}
   */
  get picture() {
    const large = this.#tiles.get(this.#large)?.video;
    return [large, this.own].find((video) => video && video.videoWidth > 0) ?? null;
  }

  // -- what the session tells ------------------------------------------------------------------------------

  #listen() {
    this.session
      .on("state", ({ state, sentence }) => this.#onState(state, sentence))
      .on("participants", () => this.#showParticipants())
      .on("stream", ({ participant, stream }) => this.#onStream(participant, stream))
      .on("gone", () => this.#showParticipants())
      .on("quality", (quality) => this.#showQuality(quality))
      .on("notice", ({ sentence }) => toast(t(sentence)))
      .on("started", (at) => this.#setStarted(at));
  }

  /**
   * @param {CallState} state
   * @param {string} sentence
   */
  #onState(state, sentence) {
    this.#showState(state, sentence);
    if (["ended", "refused", "replaced"].includes(state)) {
      if (state !== "replaced") this.#rememberInside(false);
      this.#stopDevices();
      this.#clearTiles();
      clearInterval(this.#clock);
    }
    this.root.dispatchEvent(new CustomEvent("call:state", { bubbles: true, detail: { state } }));
  }

  /**
   * @param {CallState} state
   * @param {string} sentence
   */
  #showState(state, sentence) {
    this.root.dataset.state = state;
    const inside = INSIDE.includes(state);
    const expected = this.root.dataset.expected ?? "";
    const vehicle = document.documentElement.dataset.node === "vehicle";
    const text = sentence || stateSentence(state, { others: this.session.others, expected, vehicle });
    const line = /** @type {HTMLElement} */ (find("[data-call-sentence]", this.root));
    if (line.textContent !== text) {
      line.textContent = text;
      if (text && (state === "broken" || state === "away")) announce(text);
    }
    line.hidden = !text;
    for (const element of all("[data-call-inside]")) element.hidden = !inside;
    for (const element of all("[data-call-outside]")) element.hidden = inside;
    for (const element of all("[data-call-enter]")) {
      const word = state === "replaced" ? t("Go on here") : this.#startedAt ? t("Enter the call") : t("Start the call");
      fill(element, { "enter-word": word });
      element.hidden = inside || state === "refused" || (state === "ended" && this.root.dataset.again !== "true");
    }
    for (const element of all("[data-call-over]")) element.hidden = state !== "ended" && state !== "refused";
  }

  #showParticipants() {
    if (!INSIDE.includes(this.session.state)) {
      this.#clearTiles();
      if (!this.#starting) this.#showState(this.session.state, "");
      return;
    }
    const others = this.session.others;
    for (const person of others) {
      const tile = this.#tile(person.id);
      fill(tile.root, { name: person.name, role: [roleName(person.role), person.organization].filter(Boolean).join(" · ") });
      tile.root.dataset.audio = String(person.audio);
      tile.root.dataset.video = String(person.video);
      tile.root.dataset.connected = String(person.connected);
      const silent = find("[data-muted]", tile.root);
      if (silent) silent.hidden = person.audio;
      fill(tile.off, { "off-sentence": this.#offSentence(person) });
      tile.off.hidden = person.video && person.connected;
      const word = find("[data-their-quality]", tile.root);
      if (word) {
        const bad = person.word === "poor" || person.word === "voice-only";
        word.hidden = !bad;
        word.textContent = bad ? t("Their network is poor") : "";
      }
    }
    const present = new Set(others.map(({ id }) => id));
    for (const [id, tile] of this.#tiles) {
      if (present.has(id)) continue;
      tile.root.remove();
      this.#tiles.delete(id);
    }
    this.#arrange();
    this.#showState(this.session.state, "");
  }

  /** @param {Participant} person */
  #offSentence(person) {
    if (!person.connected) return t("%(name)s is connecting…", { name: person.name });
    return t("%(name)s has the camera off.", { name: person.name });
  }

  /**
   * @param {string} participant
   * @param {MediaStream} stream
   */
  #onStream(participant, stream) {
    if (!INSIDE.includes(this.session.state)) return;
    const { video } = this.#tile(participant);
    video.srcObject = stream;
    void useChosenSpeaker(video);
    void this.#play(video);
    this.#arrange();
  }

  /** @param {HTMLVideoElement} video */
  async #play(video) {
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      // The browser wants a tap before it lets a page sound; the picture need not wait for it.
      video.muted = true;
      void video.play().catch(() => {});
      for (const button of all("[data-call-unblock]", this.root)) button.hidden = false;
    }
  }

  /** @param {string} participant */
  #tile(participant) {
    const known = this.#tiles.get(participant);
    if (known) return known;
    const video = el("video", { autoplay: true, playsinline: true });
    const off = el("p", { class: "call-off", hidden: true }, icon("camera-off", { class: "icon-large" }), el("span", { "data-slot": "off-sentence" }));
    const name = el(
      "figcaption",
      { class: "call-name" },
      el("span", { class: "call-muted", "data-muted": true, hidden: true }, icon("mic-off", { label: t("microphone off") })),
      el("b", { "data-slot": "name" }),
      el("small", { "data-slot": "role" }),
      el("small", { class: "call-their", "data-their-quality": true, hidden: true }),
    );
    const root = el("figure", { class: "call-tile", "data-participant": participant }, video, off, name);
    root.addEventListener("click", () => {
      this.#large = participant;
      this.#arrange();
    });
    this.tiles.append(root);
    const tile = { root, video, name, off };
    this.#tiles.set(participant, tile);
    return tile;
  }

  /** The specialist (or, for the specialist, the vehicle) is large unless the person tapped somebody else. */
  #arrange() {
    const ids = [...this.#tiles.keys()];
    if (!ids.includes(this.#large)) {
      const others = this.session.others.filter(({ id }) => ids.includes(id));
      const main = others.find(({ user_id: id }) => id === this.root.dataset.main) ?? others[0];
      this.#large = main?.id ?? ids[0] ?? "";
    }
    for (const [id, tile] of this.#tiles) tile.root.classList.toggle("call-large", id === this.#large);
    this.tiles.dataset.count = String(ids.length);
  }

  #clearTiles() {
    for (const tile of this.#tiles.values()) tile.root.remove();
    this.#tiles.clear();
    this.tiles.dataset.count = "0";
  }

  /** @param {Quality} quality */
  #showQuality(quality) {
    const place = find("[data-call-quality]", this.root);
    if (!place) return;
    const name = qualityName(quality.word);
    place.hidden = false;
    place.dataset.word = quality.word;
    const mark = find(".icon", place);
    if (mark) setIcon(mark, `mark-${QUALITY_LEVELS[quality.word]}`);
    for (const level of ["ok", "warning", "danger"]) place.classList.toggle(`status-${level}`, QUALITY_LEVELS[quality.word] === level);
    fill(place, { quality: name });
    const deed = find("[data-call-deed]", this.root);
    if (deed) {
      deed.textContent = qualityDeed(quality);
      deed.hidden = !deed.textContent;
    }
  }

  /** @param {string} at */
  #setStarted(at) {
    this.#startedAt = new Date(at).getTime();
    clearInterval(this.#clock);
    const place = find("[data-call-timer]", this.root);
    if (!place) return;
    const show = () => {
      place.textContent = stopwatch((Date.now() - this.#startedAt) / 1000);
    };
    place.hidden = false;
    show();
    this.#clock = window.setInterval(show, 1000);
  }

  // -- what the person does --------------------------------------------------------------------------------

  #bind() {
    /** @type {Record<string, (button: HTMLElement) => void>} */
    const actions = {
      "[data-call-enter]": () => void this.enter(),
      "[data-call-mute]": () => this.#switch("audio"),
      "[data-call-camera]": () => this.#switch("video"),
      "[data-call-leave]": (button) => {
        closeQuestion(button);
        void this.leave();
      },
      "[data-call-end]": (button) => void this.#end(button),
      "[data-call-unblock]": (button) => this.#unblock(button),
    };
    for (const [selector, act] of Object.entries(actions)) {
      for (const button of all(selector)) button.addEventListener("click", () => act(button));
    }
    // Drawn disabled: a tap before this line would be lost in silence.
    for (const button of /** @type {HTMLButtonElement[]} */ (all("[data-call-enter]"))) button.disabled = false;
    for (const select of /** @type {HTMLSelectElement[]} */ (all("select[data-device-kind]"))) {
      select.addEventListener("change", () => void this.#chooseDevice(select));
    }
    onDevicesChange((devices) => this.#showDevices(devices));
  }

  /** @param {"audio" | "video"} kind */
  #switch(kind) {
    this.#enabled[kind] = !this.#enabled[kind];
    this.session.setEnabled(kind, this.#enabled[kind]);
    this.#showSwitches();
    announce(
      kind === "audio"
        ? this.#enabled.audio ? t("Your microphone is on.") : t("Your microphone is off.")
        : this.#enabled.video ? t("Your camera is on.") : t("Your camera is off."),
    );
  }

  #showSwitches() {
    /** @type {[string, boolean, string, string, string, string][]} */
    const switches = [
      ["[data-call-mute]", this.#enabled.audio, "mic", "mic-off", t("Mute"), t("Unmute")],
      ["[data-call-camera]", this.#enabled.video, "camera", "camera-off", t("Camera off"), t("Camera on")],
    ];
    for (const [selector, on, onIcon, offIcon, onWord, offWord] of switches) {
      for (const button of all(selector)) {
        button.setAttribute("aria-pressed", String(!on));
        const mark = find(".icon", button);
        if (mark) setIcon(mark, on ? onIcon : offIcon);
        const word = find("span", button);
        if (word) word.textContent = on ? onWord : offWord;
      }
    }
    this.root.dataset.audio = String(this.#enabled.audio);
    this.root.dataset.video = String(this.#enabled.video);
    const muted = find("[data-own-muted]", this.root);
    if (muted) muted.hidden = this.#enabled.audio;
  }

  /** @param {HTMLElement} button */
  async #end(button) {
    setBusy(button);
    try {
      await this.session.end();
      closeQuestion(button);
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error));
    } finally {
      setIdle(button);
    }
  }

  /** @param {HTMLElement} button */
  #unblock(button) {
    button.hidden = true;
    for (const { video } of this.#tiles.values()) {
      video.muted = false;
      void this.#play(video);
    }
  }

  // -- devices ---------------------------------------------------------------------------------------------

  /** @param {MediaDeviceInfo[]} devices */
  #showDevices(devices) {
    for (const select of /** @type {HTMLSelectElement[]} */ (all("select[data-device-kind]"))) {
      const kind = /** @type {import("./devices.js").DeviceKind} */ (select.dataset.deviceKind);
      const track = this.#stream.getTracks().find((one) => (kind === "videoinput" ? one.kind === "video" : one.kind === "audio"));
      fillSelect(select, kind, devices, kind === "audiooutput" ? undefined : track?.getSettings().deviceId);
      const part = select.closest("[data-device-part]");
      if (part instanceof HTMLElement && kind === "audiooutput") part.hidden = !("setSinkId" in HTMLMediaElement.prototype);
    }
  }

  /** @param {HTMLSelectElement} select */
  async #chooseDevice(select) {
    const kind = /** @type {import("./devices.js").DeviceKind} */ (select.dataset.deviceKind);
    choose(kind, select.value);
    if (kind === "audiooutput") {
      for (const { video } of this.#tiles.values()) await useChosenSpeaker(video);
      return;
    }
    // Outside the choice is remembered, and nothing is opened before it is needed.
    if (INSIDE.includes(this.session.state)) await this.#reopen(kind === "videoinput" ? "video" : "audio");
  }

  /** @param {"audio" | "video"} kind */
  async #reopen(kind) {
    const visit = this.#visit;
    // Many cameras open once only: the old track has to go before the new one comes.
    for (const old of this.#stream.getTracks()) if (old.kind === kind) old.stop();
    try {
      const track = await openTrack(kind);
      if (visit !== this.#visit) {
        track.stop();
        return;
      }
      await this.session.replaceTrack(kind, track);
      if (visit !== this.#visit) return; // it was stopped with the rest
      this.#follow(track);
      this.#showProblems([]);
    } catch (error) {
      if (visit !== this.#visit) return;
      await this.session.replaceTrack(kind, null);
      if (visit !== this.#visit) return;
      this.#showProblems([problemOf(kind, error).sentence]);
    }
    this.own.srcObject = this.#stream;
    void this.own.play().catch(() => {});
  }

  /** A device that is pulled out ends its track: take another one of its kind. @param {MediaStreamTrack} track */
  #follow(track) {
    const kind = track.kind === "video" ? "video" : "audio";
    track.addEventListener("ended", () => {
      if (this.#stream.getTracks().includes(track)) void this.#reopen(kind);
    });
  }

  #stopDevices() {
    this.#visit += 1;
    this.#starting = false;
    for (const track of this.#stream.getTracks()) {
      this.#stream.removeTrack(track);
      track.stop();
    }
    this.own.srcObject = null;
  }

  /** @param {string[]} sentences */
  #showProblems(sentences) {
    const place = find("[data-call-problems]", this.root);
    if (!place) return;
    place.replaceChildren(...sentences.map((sentence) => el("p", {}, icon("mark-warning"), el("span", {}, sentence))));
    place.hidden = sentences.length === 0;
  }

  // -- coming back -----------------------------------------------------------------------------------------

  #wasInside() {
    try {
      return localStorage.getItem(MARK) === `${this.user}:${this.consult}`;
    } catch {
      return false;
    }
  }

  /** @param {boolean} inside */
  #rememberInside(inside) {
    try {
      if (inside) localStorage.setItem(MARK, `${this.user}:${this.consult}`);
      else if (this.#wasInside()) localStorage.removeItem(MARK);
    } catch {
      // Without storage a reload asks for one tap.
    }
  }
}

/** Close the question that a button answers, so that it does not stand open at the next call. @param {HTMLElement} button */
function closeQuestion(button) {
  const question = button.closest("details");
  if (question) question.open = false;
}

/** Start the panel of this page, if it has one. @returns {CallPanel | null} */
export function startPanel() {
  const root = find("[data-call]");
  if (!root) return null;
  const panel = new CallPanel(root);
  panel.start();
  return panel;
}

