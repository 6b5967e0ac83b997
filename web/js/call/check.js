/**
 * The check before the call: own picture, a bar that moves with the voice, a test sound, and the way to the hub, each
 * with a tick or one sentence that says what to do. The way is a real call through a media worker: one connection
 * sends this camera's picture, a second one gets it back.
 */

import { all, byId, fill, find, setIcon } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { LiveError, request, watch } from "../lib/socket.js";
import { MediaPeer } from "../media/peer.js";
import { choose, fillSelect, listDevices, onDevicesChange, openTrack, problemOf, useChosenSpeaker } from "./devices.js";

/** @typedef {"wait" | "ok" | "warning" | "danger"} Level */

const LOUD_ENOUGH = 6;
const WAY_SECONDS = 15;
const MARKS = { wait: "mark-off", ok: "mark-ok", warning: "mark-warning", danger: "mark-danger" };

/** @type {Map<string, Level>} */
const verdicts = new Map();
/** @type {Map<"audio" | "video", MediaStreamTrack>} */
const tracks = new Map();
/** @type {(() => void) | null} */
let stopMeter = null;
let running = 0;

/**
 * @param {"camera" | "microphone" | "speaker" | "way"} what
 * @param {Level} level
 * @param {string} sentence
 */
function verdict(what, level, sentence) {
  const line = byId(`${what}-verdict`);
  line.dataset.level = level;
  const mark = find(".icon", line);
  if (mark) setIcon(mark, MARKS[level]);
  fill(line, { sentence });
  verdicts.set(what, level);
  const levels = [...verdicts.values()];
  const open = levels.filter((one) => one === "wait").length;
  byId("check-summary").textContent = open
    ? ""
    : levels.every((one) => one === "ok")
      ? t("Everything is ready for the call.")
      : t("You can call; look at what is marked first.");
}

/** @param {"audio" | "video"} kind */
async function open(kind) {
  tracks.get(kind)?.stop();
  tracks.delete(kind);
  const track = await openTrack(kind);
  tracks.set(kind, track);
  return track;
}

async function checkCamera() {
  verdict("camera", "wait", t("The camera is being started…"));
  try {
    const track = await open("video");
    const video = /** @type {HTMLVideoElement} */ (byId("check-video"));
    video.srcObject = new MediaStream([track]);
    await video.play().catch(() => {});
    await frameShown(video);
    const { width, height } = track.getSettings();
    verdict("camera", "ok", t("The camera works (%(width)s × %(height)s).", { width: width ?? 0, height: height ?? 0 }));
  } catch (error) {
    const sentence = error instanceof Error && error.message === "dark" ? t("The camera gives no picture. Take the cover off, or choose another one.") : problemOf("video", error).sentence;
    verdict("camera", "danger", sentence);
  }
}

/** @param {HTMLVideoElement} video */
function frameShown(video) {
  return new Promise((resolve, reject) => {
    if (video.videoWidth > 0) return resolve(true);
    const timer = setTimeout(() => reject(new Error("dark")), 5000);
    video.addEventListener("loadeddata", () => {
      clearTimeout(timer);
      resolve(true);
    }, { once: true });
    return undefined;
  });
}

async function checkMicrophone() {
  stopMeter?.();
  verdict("microphone", "wait", t("The microphone is being started…"));
  let track;
  try {
    track = await open("audio");
  } catch (error) {
    verdict("microphone", "danger", problemOf("audio", error).sentence);
    return;
  }
  verdict("microphone", "wait", t("Say a few words."));
  const context = new AudioContext();
  const listen = () => void context.resume().catch(() => {});
  listen();
  // Some browsers let a page listen only after it was touched.
  for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, listen);
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const bar = /** @type {HTMLMeterElement} */ (byId("check-level"));
  let heard = false;
  let silentAt = performance.now() + 8000;
  context.addEventListener("statechange", () => {
    if (heard || context.state !== "running") return;
    silentAt = performance.now() + 8000;
    verdict("microphone", "wait", t("Say a few words."));
  });
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const level = loudness(samples);
    bar.value = level;
    if (!heard && level > LOUD_ENOUGH) {
      heard = true;
      verdict("microphone", "ok", t("The microphone hears you."));
    } else if (!heard && performance.now() > silentAt && verdicts.get("microphone") === "wait") {
      const sentence =
        context.state === "running"
          ? t("Nothing is heard. Speak louder, switch the microphone on, or choose another one.")
          : t("The browser does not let this page listen yet. Tap the page and say a few words; plug in a speaker if there is none.");
      verdict("microphone", "warning", sentence);
    }
  }, 60);
  stopMeter = () => {
    clearInterval(timer);
    for (const touch of ["pointerdown", "keydown"]) removeEventListener(touch, listen);
    void context.close();
    stopMeter = null;
  };
}

/**
 * 0 to 100: -60 dB below full scale is 0.
 *
 * @param {Float32Array} samples
 */
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibel = 10 * Math.log10(sum / samples.length + 1e-12);
  return Math.max(0, Math.min(100, ((decibel + 60) / 60) * 100));
}

function resetSpeaker() {
  byId("check-heard").hidden = true;
  verdict("speaker", "wait", t("Play the test sound and say whether you heard it."));
}

/** Three rising notes, as a WAV made here: it can be sent to the chosen speaker like any sound of the call. */
function testSound() {
  const rate = 16000;
  const notes = [523, 659, 784];
  const count = Math.floor(rate * 0.3) * notes.length;
  const view = new DataView(new ArrayBuffer(44 + count * 2));
  const text = (/** @type {number} */ at, /** @type {string} */ word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + count * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, count * 2, true);
  const each = count / notes.length;
  for (let i = 0; i < count; i += 1) {
    const within = i % each;
    const fade = Math.min(1, within / 400, (each - within) / 1600);
    view.setInt16(44 + i * 2, Math.sin((2 * Math.PI * notes[Math.floor(i / each)] * i) / rate) * fade * 12000, true);
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

async function playSound() {
  const sound = new Audio(URL.createObjectURL(testSound()));
  await useChosenSpeaker(sound);
  try {
    await sound.play();
    byId("check-heard").hidden = false;
    verdict("speaker", "wait", t("Did you hear three notes?"));
  } catch {
    verdict("speaker", "danger", t("No sound can be played. Plug in a speaker or headphones, or choose another one."));
  }
}

// -- the way to the hub ------------------------------------------------------------------------------------

/** @type {Map<string, MediaPeer>} */
const peers = new Map();
/** @type {Map<string, any[]>} */
const early = new Map();

function newPeerId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {MediaStream | null} stream */
async function openPeer(stream) {
  const id = newPeerId();
  early.set(id, []);
  const answer = await request("call:check", { peer: id });
  const peer = new MediaPeer({
    stream,
    iceServers: answer.ice_servers,
    send: (message) => void request("call:signal", { consult_id: "check", peer: id, message }).catch(() => {}),
  });
  peers.set(id, peer);
  for (const message of early.get(id) ?? []) peer.receive(message);
  early.delete(id);
  return peer;
}

function closePeers() {
  for (const [id, peer] of peers) {
    peer.close();
    void request("call:leave", { consult_id: "check", peer: id }).catch(() => {});
  }
  peers.clear();
}

async function checkWay() {
  const run = ++running;
  verdict("way", "wait", t("A short call to the hub is being made…"));
  byId("check-numbers").hidden = true;
  closePeers();
  const stream = new MediaStream([...tracks.values()].map((track) => track.clone()));
  try {
    const quality = await loop(stream);
    if (run === running) judgeWay(quality, stream.getVideoTracks().length > 0);
  } catch (error) {
    if (run === running) verdict("way", "danger", waySentence(error));
  } finally {
    if (run === running) closePeers();
    for (const track of stream.getTracks()) track.stop();
  }
}

/** @param {unknown} error */
function waySentence(error) {
  if (error instanceof LiveError) return error.sentence;
  return t("The hub answers, but voice and picture do not get through. A firewall may block UDP: tell the administrator.");
}

/**
 * @param {MediaStream} stream
 * @returns {Promise<import("../media/peer.js").Quality>}
 */
async function loop(stream) {
  const sender = await openPeer(stream);
  const receiver = await openPeer(null);
  return new Promise((resolve, reject) => {
    /** @type {number | null} */
    let rtt = null;
    let loss = 0;
    const timer = setTimeout(() => reject(new Error("timeout")), WAY_SECONDS * 1000);
    const fail = (/** @type {{ reason: string }} */ { reason }) => {
      clearTimeout(timer);
      reject(new Error(reason));
    };
    sender.on("lost", fail);
    receiver.on("lost", fail);
    sender.on("quality", (quality) => {
      rtt = quality.rtt;
      loss = quality.loss;
    });
    receiver.on("quality", (quality) => {
      if (quality.downKbps <= 0) return;
      clearTimeout(timer);
      resolve({ ...quality, rtt: rtt ?? quality.rtt, loss: Math.max(loss, quality.loss) });
    });
  });
}

/**
 * @param {import("../media/peer.js").Quality} quality
 * @param {boolean} withPicture
 */
function judgeWay({ rtt, loss, framesDecoded, downKbps }, withPicture) {
  byId("check-numbers").hidden = false;
  byId("check-rtt").textContent = rtt === null ? "—" : t("%(count)s ms", { count: Math.round(rtt * 1000) });
  byId("check-loss").textContent = `${(loss * 100).toFixed(1)} %`;
  byId("check-picture").textContent = withPicture ? `${Math.round(downKbps)} kbit/s` : "—";
  if (withPicture && framesDecoded === 0) {
    verdict("way", "warning", t("The voice gets through, but no picture. The call works by voice."));
  } else if (loss > 0.1 || (rtt ?? 0) > 0.8) {
    verdict("way", "danger", t("The network is very poor. Move the vehicle or its antenna; the voice goes first."));
  } else if (loss > 0.03 || (rtt ?? 0) > 0.3) {
    verdict("way", "warning", t("The network is slow. The call works, with a smaller picture."));
  } else {
    verdict("way", "ok", t("The way to the hub is good."));
  }
}

// -- the page ----------------------------------------------------------------------------------------------

function selects() {
  return /** @type {HTMLSelectElement[]} */ (all("select[data-device-kind]"));
}

/** @param {MediaDeviceInfo[]} devices */
function showDevices(devices) {
  for (const select of selects()) {
    const kind = /** @type {import("./devices.js").DeviceKind} */ (select.dataset.deviceKind);
    const track = kind === "videoinput" ? tracks.get("video") : tracks.get("audio");
    fillSelect(select, kind, devices, kind === "audiooutput" ? undefined : track?.getSettings().deviceId);
    const part = select.closest("[data-device-part]");
    if (part instanceof HTMLElement && kind === "audiooutput") part.hidden = !("setSinkId" in HTMLMediaElement.prototype);
  }
}

async function checkAll() {
  resetSpeaker();
  verdict("way", "wait", t("is being checked…"));
  await checkCamera();
  await checkMicrophone();
  showDevices(await listDevices());
  await checkWay();
}

watch("node", {
  "call:signal": ({ peer, message }) => {
    const known = peers.get(peer);
    if (known) known.receive(message);
    else early.get(peer)?.push(message);
  },
});
for (const select of selects()) {
  select.addEventListener("change", () => {
    const kind = /** @type {import("./devices.js").DeviceKind} */ (select.dataset.deviceKind);
    choose(kind, select.value);
    if (kind === "videoinput") void checkCamera();
    else if (kind === "audioinput") void checkMicrophone();
    else resetSpeaker();
  });
}
onDevicesChange(showDevices);
byId("check-sound").addEventListener("click", () => void playSound());
byId("check-heard-yes").addEventListener("click", () => {
  byId("check-heard").hidden = true;
  verdict("speaker", "ok", t("The speaker works."));
});
byId("check-heard-no").addEventListener("click", () => {
  byId("check-heard").hidden = true;
  verdict("speaker", "warning", t("Turn the volume up, plug the speaker in again, or choose another one; then play the sound again."));
});
byId("check-again").addEventListener("click", () => void checkAll());
window.addEventListener("pagehide", closePeers);
void checkAll();
