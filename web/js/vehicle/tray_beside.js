/** The tray's place on the encounter page: drawn anew when the tray changes, and why a reading went there is said. */

import { announce } from "../lib/announce.js";
import { getJson } from "../lib/api.js";
import { all, find } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";

/** A meter may hand over many at once. */
const GATHER_MS = 400;

/** @param {HTMLElement} row */
function receivedAt(row) {
  return Date.parse(row.dataset.received ?? "");
}

/**
 * @param {string} url  of the encounter
 * @param {string} patient  whose encounter it is
 * @returns {() => void}  to be called when the tray has changed
 */
export function keepTray(url, patient) {
  const place = document.getElementById("tray");
  let timer = 0;
  let turn = 0;
  if (!place) return () => {};

  async function draw() {
    const own = ++turn;
    const newest = Math.max(0, ...all("[data-tray]", place ?? document).map(receivedAt));
    const answer = await getJson(`${url}/tray`);
    // A form that is on its way would lose the page that answers it.
    if (own !== turn || !place || find("form[data-sent]", place)) return;
    place.innerHTML = answer.html;
    const rows = all("[data-tray]", place);
    place.hidden = !rows.length;
    const came = rows.filter((row) => receivedAt(row) > newest);
    if (came.length) tell(came);
  }

  /** @param {HTMLElement[]} came */
  function tell(came) {
    const [{ dataset }] = came;
    const sentence = came.length > 1
      ? t("%(count)s readings were not taken for %(name)s. They wait among the unassigned readings.", { count: came.length, name: patient })
      : t("Not taken for %(name)s: %(label)s %(value)s. %(why)s", { name: patient, label: dataset.label ?? "", value: dataset.value ?? "", why: dataset.why ?? "" });
    announce(sentence, { urgent: true });
    toast(sentence);
  }

  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void draw().catch(() => {}), GATHER_MS);
  };
}
