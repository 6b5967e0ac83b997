/**
 * Cameras, microphones and speakers of this machine: which there are, which the person has chosen, and a plain sentence
 * for each way of not getting one. Choices are remembered on this machine and used in every call.
 */

import { t } from "../lib/i18n.js";
import { AUDIO_CONSTRAINTS, VIDEO_CONSTRAINTS } from "../media/peer.js";

/** @typedef {"videoinput" | "audioinput" | "audiooutput"} DeviceKind */
/** @typedef {{ kind: "audio" | "video", code: string, sentence: string }} DeviceProblem */

const KEY = "teleconsult.devices";

/** What the person has chosen, by kind. @returns {Partial<Record<DeviceKind, string>>} */
export function choices() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

/**
 * @param {DeviceKind} kind
 * @param {string} deviceId
 */
export function choose(kind, deviceId) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...choices(), [kind]: deviceId }));
  } catch {
    // A full or forbidden storage only forgets the choice after this page.
  }
}

/** Whether this page may ask for a camera at all: HTTPS or the machine itself. */
export function canAsk() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

/** The devices there are. Names are known once a camera or microphone has been allowed. */
export async function listDevices() {
  const found = canAsk() ? await navigator.mediaDevices.enumerateDevices() : [];
  return found.filter(({ deviceId, kind }) => deviceId && !(kind === "audiooutput" && deviceId === "communications"));
}

/**
 * @param {(devices: MediaDeviceInfo[]) => void} listener
 * @returns {() => void}
 */
export function onDevicesChange(listener) {
  if (!canAsk()) return () => {};
  const changed = () => void listDevices().then(listener);
  navigator.mediaDevices.addEventListener("devicechange", changed);
  return () => navigator.mediaDevices.removeEventListener("devicechange", changed);
}

/**
 * Open one camera or microphone: the chosen one, or if it is not there any.
 *
 * @param {"audio" | "video"} kind
 * @returns {Promise<MediaStreamTrack>}
 * @throws {DOMException}
 */
export async function openTrack(kind) {
  if (!canAsk()) throw new DOMException("insecure", "SecurityError");
  const wanted = choices()[kind === "audio" ? "audioinput" : "videoinput"];
  const plain = kind === "audio" ? AUDIO_CONSTRAINTS : VIDEO_CONSTRAINTS;
  const attempt = (/** @type {MediaTrackConstraints} */ constraints) =>
    navigator.mediaDevices.getUserMedia({ [kind]: constraints });
  let stream;
  try {
    stream = await attempt(wanted ? { ...plain, deviceId: { exact: wanted } } : plain);
  } catch (error) {
    if (!wanted || !isMissing(error)) throw error;
    stream = await attempt(plain);
  }
  return stream.getTracks()[0];
}

/**
 * Open the camera and the microphone together, so that the browser asks once; what one lacks the other still has.
 *
 * @returns {Promise<{ stream: MediaStream, problems: DeviceProblem[] }>}
 */
export async function openBoth() {
  /** @type {DeviceProblem[]} */
  const problems = [];
  if (canAsk()) {
    const { audioinput, videoinput } = choices();
    try {
      const both = {
        audio: audioinput ? { ...AUDIO_CONSTRAINTS, deviceId: { exact: audioinput } } : AUDIO_CONSTRAINTS,
        video: videoinput ? { ...VIDEO_CONSTRAINTS, deviceId: { exact: videoinput } } : VIDEO_CONSTRAINTS,
      };
      return { stream: await navigator.mediaDevices.getUserMedia(both), problems };
    } catch {
      // One of them is the trouble: each on its own tells which, and gives the other.
    }
  }
  const stream = new MediaStream();
  for (const kind of /** @type {const} */ (["audio", "video"])) {
    try {
      stream.addTrack(await openTrack(kind));
    } catch (error) {
      problems.push(problemOf(kind, error));
    }
  }
  return { stream, problems };
}

/** @param {unknown} error */
function isMissing(error) {
  return error instanceof DOMException && ["NotFoundError", "OverconstrainedError"].includes(error.name);
}

/**
 * Why there is no camera or microphone, and what to do.
 *
 * @param {"audio" | "video"} kind
 * @param {unknown} error
 * @returns {DeviceProblem}
 */
export function problemOf(kind, error) {
  const name = error instanceof DOMException ? error.name : "";
  const camera = kind === "video";
  /** @param {string} code @param {string} sentence */
  const problem = (code, sentence) => ({ kind, code, sentence });
  if (!canAsk()) {
    return problem(
      "insecure",
      t("The browser gives camera and microphone only to a safe address. Open this page with https, or on the machine itself."),
    );
  }
  if (name === "NotAllowedError" || name === "SecurityError") {
    return problem(
      "denied",
      camera
        ? t("The camera is not allowed. Tap the lock beside the address, allow the camera, and load the page again.")
        : t("The microphone is not allowed. Tap the lock beside the address, allow the microphone, and load the page again."),
    );
  }
  if (isMissing(error)) {
    return problem(
      "missing",
      camera
        ? t("No camera was found. Plug one in; the others hear you all the same.")
        : t("No microphone was found. Plug one in; until then the others cannot hear you."),
    );
  }
  if (name === "NotReadableError" || name === "AbortError") {
    return problem(
      "busy",
      camera
        ? t("Another program uses the camera. Close that program, then choose the camera again.")
        : t("Another program uses the microphone. Close that program, then choose the microphone again."),
    );
  }
  return problem(
    "failed",
    camera
      ? t("The camera did not start. Unplug it, plug it in again, and choose it.")
      : t("The microphone did not start. Unplug it, plug it in again, and choose it."),
  );
}

/**
 * Fill a <select> with the devices of one kind; the chosen one is selected.
 *
 * @param {HTMLSelectElement} select
 * @param {DeviceKind} kind
 * @param {MediaDeviceInfo[]} devices
 * @param {string} [current]  the device in use, where nothing was chosen
 */
export function fillSelect(select, kind, devices, current) {
  const own = devices.filter((device) => device.kind === kind);
  const wanted = choices()[kind];
  const selected = own.some(({ deviceId }) => deviceId === wanted) ? wanted : current;
  select.replaceChildren(
    ...own.map(({ deviceId, label }, index) => {
      const option = document.createElement("option");
      option.value = deviceId;
      option.textContent = label || t("Device %(number)s", { number: index + 1 });
      option.selected = deviceId === selected;
      return option;
    }),
  );
  select.disabled = own.length === 0;
  if (own.length === 0) {
    const option = document.createElement("option");
    option.textContent = t("None found");
    select.append(option);
  }
}

/**
 * Let an element sound through the chosen speaker, where the browser can choose.
 *
 * @param {HTMLMediaElement} element
 */
export async function useChosenSpeaker(element) {
  const speaker = choices().audiooutput;
  if (!speaker || !("setSinkId" in element)) return;
  try {
    await element.setSinkId(speaker);
  } catch {
    // The chosen speaker is gone: the machine's usual one sounds.
  }
}
