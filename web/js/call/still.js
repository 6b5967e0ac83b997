/** A still picture out of the call: the frame as it is shown, attached to the consult like any other image. */

import { all } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";

const JPEG_QUALITY = 0.92;

/**
 * The present frame of a video as a JPEG in its own size.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob>}
 */
export async function grabFrame(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  if (!(blob instanceof Blob)) throw new Error(t("The picture could not be taken. Try again."));
  return blob;
}

/**
 * Let the page's still-picture buttons work.
 *
 * @param {{ picture: HTMLVideoElement | null }} panel
 * @param {{ attach: (file: File, kind?: string) => Promise<unknown> }} images
 */
export function bindStill(panel, images) {
  for (const button of all("[data-call-still]")) {
    button.addEventListener("click", () => void takeStill(panel.picture, (file) => images.attach(file, "still")));
  }
}

/**
 * Take the picture and hand it to whoever attaches images.
 *
 * @param {HTMLVideoElement | null} video
 * @param {(file: File) => Promise<unknown>} attach
 */
async function takeStill(video, attach) {
  if (!video) {
    toast(t("There is no picture to take yet."));
    return;
  }
  try {
    const frame = await grabFrame(video);
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
    await attach(new File([frame], `still-${stamp}.jpg`, { type: "image/jpeg" }));
    toast(t("The picture is attached to the consult."));
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error), { stays: true });
  }
}
