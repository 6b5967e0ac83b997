/**
 * Words and times in the person's language.
 *
 * The sentence in the source is English and is the key of the catalogue. The page names its catalogue in
 * <html data-catalogue>; it is fetched once, before any module that imports this one runs, so `t` answers at once.
 * Without a catalogue the English sentence is shown: never an empty place.
 */

const SITE_ZONE = "Asia/Shanghai";
const language = document.documentElement.lang.startsWith("zh") ? "zh-CN" : "en";

/** @type {Record<string, string>} */
const catalogue = await load(document.documentElement.dataset.catalogue ?? "");

/**
 * @param {string} url
 * @returns {Promise<Record<string, string>>}
 */
async function load(url) {
  if (!url || language === "en") return {};
  try {
    const answer = await fetch(url, { credentials: "same-origin" });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

/**
 * The sentence in the person's language, with `%(name)s` places filled in.
 *
 * @param {string} sentence  English, as written in the source
 * @param {Record<string, string | number>} [params]
 * @returns {string}
 */
export function t(sentence, params = {}) {
  const translated = catalogue[sentence] || sentence;
  return translated.replace(/%\((\w+)\)[sd]|%%/g, (place, name) => {
    if (place === "%%") return "%";
    return name in params ? String(params[name]) : place;
  });
}

const clock = new Intl.DateTimeFormat("en-GB", { timeZone: SITE_ZONE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en-CA", { timeZone: SITE_ZONE, year: "numeric", month: "2-digit", day: "2-digit" });

/**
 * "14:05" at the site.
 *
 * @param {string | number | Date} when  ISO text with zone, milliseconds, or a Date
 */
export function formatTime(when) {
  return clock.format(new Date(when));
}

/**
 * "2026-11-24" at the site.
 *
 * @param {string | number | Date} when
 */
export function formatDate(when) {
  return day.format(new Date(when));
}

/**
 * "14:05" today, "2026-11-23 14:05" on another day.
 *
 * @param {string | number | Date} when
 * @param {Date} [now]
 */
export function formatMoment(when, now = new Date()) {
  return formatDate(when) === formatDate(now) ? formatTime(when) : `${formatDate(when)} ${formatTime(when)}`;
}

/**
 * How long ago, in the largest whole unit: "just now", "5 min ago", "3 h ago", "2 d ago".
 *
 * @param {string | number | Date} when
 * @param {Date} [now]
 */
export function ago(when, now = new Date()) {
  const minutes = Math.floor(Math.max(0, now.getTime() - new Date(when).getTime()) / 60000);
  if (minutes < 1) return t("just now");
  return t("%(time)s ago", { time: duration(minutes * 60) });
}

/**
 * A length of time in the largest whole unit: "0 min", "5 min", "3 h", "2 d". For waiting times.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const minutes = Math.floor(Math.max(0, seconds) / 60);
  if (minutes < 60) return t("%(count)s min", { count: minutes });
  if (minutes < 48 * 60) return t("%(count)s h", { count: Math.floor(minutes / 60) });
  return t("%(count)s d", { count: Math.floor(minutes / 1440) });
}

/**
 * A running clock: "4:07", "1:04:07". For the length of a call.
 *
 * @param {number} seconds
 */
export function stopwatch(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
