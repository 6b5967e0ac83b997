/** The list of one's own consults: read again when one of them moves. */

import { byId } from "../lib/dom.js";
import { watch } from "../lib/socket.js";

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("mine");
  const here = byId("mine");
  if (fresh && !here.contains(document.activeElement)) here.replaceWith(document.importNode(fresh, true));
}

watch(`user:${document.documentElement.dataset.person}`, { "consult:changed": () => void refresh(), joined: () => void refresh() });
