/** The button of a printed page. */

import { find } from "./lib/dom.js";

find("[data-print]")?.addEventListener("click", () => window.print());
