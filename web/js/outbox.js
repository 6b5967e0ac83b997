/** Keeps the page "to be sent" fresh while it is open: the list is drawn by the node, this fetches it again. */

import { watch } from "/static/js/lib/socket.js";

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
    if (answer.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("outbox");
      if (fresh) document.getElementById("outbox")?.replaceWith(fresh);
    }
  } catch {
    // The node itself cannot be reached: what is shown stays, and the status strip says so.
  }
  asking = false;
  if (again) {
    again = false;
    void refresh();
  }
}

watch("node", { uplink: refresh, joined: refresh });
