/** The form for a consult request: keeps what is written, offers phrases of the specialty, says who is on line. */

import { getJson } from "../lib/api.js";
import { all, byId, el, find } from "../lib/dom.js";
import { Draft } from "../lib/draft.js";
import { t } from "../lib/i18n.js";
import { watch } from "../lib/socket.js";

/** @typedef {Record<string, { name: string, online: string[], wait: string | null }>} Staff */

const form = /** @type {HTMLFormElement} */ (byId("ask"));
const specialty = /** @type {HTMLSelectElement} */ (form.elements.namedItem("specialty"));
const identity = /** @type {HTMLInputElement} */ (form.elements.namedItem("id"));
const own = identity.value;
/** @type {Staff | null} */
let staff = null;

new Draft(`ask:${form.dataset.encounter}`).attach(form);
identity.value = own; // each form asks for one consult; a kept text never brings an old one back
specialty.addEventListener("change", show);
show();
void load();
setInterval(() => void load(), 30000);
watch("node", { uplink: (/** @type {{ online: boolean }} */ state) => showLink(state.online) });

async function load() {
  try {
    staff = (await getJson("/staff.json")).specialties;
  } catch (problem) {
    staff = null;
    byId("staff-list").replaceChildren(el("p", { class: "soft" }, problem instanceof Error ? problem.message : String(problem)));
    return;
  }
  show();
}

function show() {
  for (const group of all("[data-phrases]")) group.hidden = group.dataset.phrases !== "" && group.dataset.phrases !== specialty.value;
  if (!staff) return;
  const unknown = byId("staff").dataset.unknown ?? "";
  const codes = Object.keys(staff).filter((code) => (specialty.value ? code === specialty.value : staff?.[code].online.length));
  const rows = codes.flatMap((code) => {
    const one = /** @type {Staff} */ (staff)[code];
    return [
      el("dt", {}, one.name),
      el("dd", {}, one.online.length ? one.online.join(", ") : t("nobody on line"), el("br"), el("span", { class: "soft small" }, t("Usual wait: %(time)s", { time: one.wait ?? unknown }))),
    ];
  });
  byId("staff-list").replaceChildren(
    rows.length ? el("dl", { class: "facts facts-stacked" }, ...rows) : el("p", { class: "soft" }, t("No specialist is on line. The request waits in the queue and is not lost.")),
  );
}

/** @param {boolean} online */
function showLink(online) {
  const button = byId("send");
  const label = find("span", button);
  if (label) label.textContent = (online ? button.dataset.online : button.dataset.offline) ?? "";
  if (online) void load();
}
