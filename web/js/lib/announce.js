/** Says a sentence to people who listen to the page. The regions are in base.html. */

/**
 * @param {string} sentence
 * @param {{ urgent?: boolean }} [options]  urgent interrupts what is being read
 */
export function announce(sentence, options = {}) {
  const region = document.getElementById(options.urgent ? "announce-assertive" : "announce-polite");
  if (!region) return;
  region.textContent = "";
  // A screen reader speaks a change; the same sentence twice is only a change when the region was empty in between.
  requestAnimationFrame(() => {
    region.textContent = sentence;
  });
}
