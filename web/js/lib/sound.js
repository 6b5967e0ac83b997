/**
 * Short sounds, made here and not loaded. Quiet ones: two soft notes for a new consult, three for an emergency.
 *
 * Browsers let a page sound only after the person has touched it once; until then a chime is silent. The switch in
 * the status strip mutes all of them on this machine.
 */

const KEY = "teleconsult.mute";
/** @type {AudioContext | null} */
let audio = null;

/** Whether sounds are off on this machine. */
export function isMuted() {
  return localStorage.getItem(KEY) === "1";
}

/** @param {boolean} muted */
export function setMuted(muted) {
  if (muted) localStorage.setItem(KEY, "1");
  else localStorage.removeItem(KEY);
}

function context() {
  audio ??= new AudioContext();
  if (audio.state === "suspended") void audio.resume().catch(() => {});
  return audio;
}

/** Make later sounds possible: called at the person's first touch or key. */
export function unlock() {
  if (!isMuted()) context();
}

/**
 * @param {"new" | "emergency" | "test"} [kind]
 * @returns {boolean}  whether it sounds
 */
export function chime(kind = "new") {
  if (isMuted()) return false;
  const output = context();
  const notes = kind === "emergency" ? [880, 660, 880] : kind === "test" ? [523.25, 659.25, 783.99] : [659.25, 880];
  notes.forEach((frequency, index) => note(output, frequency, output.currentTime + index * 0.22));
  return output.state === "running";
}

/**
 * @param {AudioContext} output
 * @param {number} frequency  Hz
 * @param {number} at  seconds on the context's clock
 */
function note(output, frequency, at) {
  const tone = output.createOscillator();
  const level = output.createGain();
  tone.type = "sine";
  tone.frequency.value = frequency;
  level.gain.setValueAtTime(0.0001, at);
  level.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
  level.gain.exponentialRampToValueAtTime(0.0001, at + 0.5);
  tone.connect(level).connect(output.destination);
  tone.start(at);
  tone.stop(at + 0.55);
}
