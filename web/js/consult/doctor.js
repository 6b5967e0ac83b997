/** A consult on the vehicle: follows where it stands; chat, images, and an answer that is never lost. */

import { byId } from "../lib/dom.js";
import { Draft } from "../lib/draft.js";
import { startChat } from "./chat.js";
import { startImages } from "./images.js";
import { followConsult } from "./page.js";

const page = byId("consult");
const answer = document.getElementById("answer");
const draft = new Draft(`answer:${page.dataset.consult}`);

// The request has become a consult: what was kept while it was written is not needed any more.
new Draft(`ask:${page.dataset.encounter}`).confirmed();
if (answer instanceof HTMLFormElement) {
  draft.attach(answer);
} else {
  draft.confirmed();
}

const id = followConsult({ isWriting: () => answer !== null && draft.read() !== null });
void startChat(byId("chat"), id);
void startImages(byId("images"), id);
