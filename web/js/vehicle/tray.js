/**
 * The tray: a reading that arrives while somebody looks at it is shown by loading the list again, unless a
 * form is on its way: loading now would lose the page that answers it.
 */

import { watch } from "../lib/socket.js";
import { all, byId } from "../lib/dom.js";

watch("node", {
  "unassigned:changed": (/** @type {{ count: number }} */ data) => {
    const sent = all("form[data-sent]").length > 0;
    if (!sent && data.count !== Number(byId("tray-page").dataset.count)) location.reload();
  },
});
