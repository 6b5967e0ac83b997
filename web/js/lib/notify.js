/** Notifications of the browser, for a person who looks at another window. Never the only way something is told. */

/** @returns {"granted" | "denied" | "default" | "unsupported"} */
export function permission() {
  return "Notification" in window ? Notification.permission : "unsupported";
}

/**
 * Ask the person. Call it from a click: browsers refuse otherwise.
 *
 * @returns {Promise<boolean>}  whether notifications are shown from now on
 */
export async function askPermission() {
  if (permission() === "default") await Notification.requestPermission();
  return permission() === "granted";
}

/**
 * Show one, if that is allowed and the page is not in front. It names no patient: the screen may be seen by others.
 *
 * @param {string} title
 * @param {{ body?: string, tag?: string, url?: string }} [options]  a later one with the same tag takes its place
 * @returns {boolean}  whether it was shown
 */
export function notify(title, options = {}) {
  if (permission() !== "granted" || document.visibilityState === "visible") return false;
  const shown = new Notification(title, { body: options.body, tag: options.tag, icon: "/static/icons/favicon.svg" });
  shown.addEventListener("click", () => {
    window.focus();
    shown.close();
    if (options.url) location.assign(options.url);
  });
  return true;
}
