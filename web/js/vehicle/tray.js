/** The tray: a reading that arrives while somebody looks at it is shown by loading the list again. */

import { watch } from "../lib/socket.js";
import { all } from "../lib/dom.js";

watch("node", {
  "unassigned:changed": (/** @type {{ count: number }} */ data) => {
    if (data.count !== all("[data-tray]").length) location.reload();
  },
});
