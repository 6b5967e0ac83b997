/**
 * Keeps the coordinator's board true: the node draws it, this fetches it again when something changes. Waiting times
 * are counted here. What has the keyboard's focus keeps it.
 */

import { all } from "/static/js/lib/dom.js";
import { duration } from "/static/js/lib/i18n.js";
import { watch } from "/static/js/lib/socket.js";

const PARTS = ["board", "board-side"];
const COUNT_EVERY_MS = 15000;

let asking = false;
let again = false;

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The node cannot be reached: what is shown stays, and the status strip says so.
  }
  asking = false;
  if (again) {
    again = false;
    void refresh();
  }
}

/** @param {Document} page */
function show(page) {
  const focused = document.activeElement?.id;
  for (const id of PARTS) {
    const fresh = page.getElementById(id);
    const shown = document.getElementById(id);
    if (fresh && shown && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(document.adoptNode(fresh));
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

function countTime() {
  for (const element of all("[data-since]")) {
    const seconds = (Date.now() - Date.parse(element.dataset.since ?? "")) / 1000;
    if (Number.isFinite(seconds)) element.textContent = duration(seconds);
  }
}

watch("board", { "board:changed": refresh, joined: refresh });
setInterval(countTime, COUNT_EVERY_MS);
