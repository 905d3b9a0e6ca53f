// A picture of the view to keep: slide, heat map, regions, scale bar, colour bar, and where it comes from.

import { cssColours } from "./colours.js";
import { save, say } from "./dom.js";
import { rulerOf } from "./scale.js";
import { numberInWords } from "./words.js";

const FOOT_PX = 92;
const NARROW_PX = 560; // in which the bars have a line each
const LINE_PX = 56;
const MARGIN_PX = 16;
const BAR = { width: 256, height: 12 }; // a pixel for each colour
const FONT = "13px system-ui, sans-serif";

function drawScaleBar(context, { x, y, micronsPerScreenPixel }) {
  const { words, px } = rulerOf(micronsPerScreenPixel);
  context.fillRect(x, y, px, 4);
  context.fillText(words, x, y - 8);
}

function drawColourBar(context, { x, y, width, scores, look, label }) {
  cssColours(look.colours).forEach((colour, i) => {
    if (i < Math.round(255 * look.threshold)) return;
    context.fillStyle = colour;
    context.fillRect(x + i, y, 1, BAR.height);
  });
  context.fillStyle = "#000";
  context.strokeRect(x - 0.5, y - 0.5, BAR.width + 1, BAR.height + 1);
  context.fillText(label, x, y - 8, width - x - MARGIN_PX);
  const scale = scores.scale(look.scale);
  for (const place of [0, 0.5, 1]) {
    context.textAlign = ["left", "center", "right"][2 * place];
    context.fillText(numberInWords(scale.score(place)), x + place * BAR.width, y + BAR.height + 16);
  }
  context.textAlign = "left";
}

/** Compose the picture of a slide screen; resolves to a canvas. */
export function compose({ view, controls, slide, scores }, run, magnification) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = view.heatmap.canvas;
  const isNarrow = width < NARROW_PX;
  const footPx = FOOT_PX + (isNarrow ? LINE_PX : 0);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round((height + footPx) * ratio) });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(view.viewer.drawer.canvas, 0, 0, width, height);
  context.globalAlpha = controls.opacityNow;
  context.drawImage(view.heatmap.canvas, 0, 0, width, height);
  context.globalAlpha = 1;
  view.outlines.paint(context);
  context.fillRect(0, height, width, footPx); // an outline may reach below the view
  Object.assign(context, { fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, font: FONT });
  const foot = height + 36;
  drawScaleBar(context, { x: MARGIN_PX, y: foot, micronsPerScreenPixel: view.micronsPerScreenPixel() });
  context.fillText(magnification, MARGIN_PX + 160, foot + 4);
  if (scores && controls.opacityNow > 0) {
    const label = `${controls.chosen.label} (${controls.scale.selectedOptions[0].text}), opacity ${controls.opacity.value}%`;
    const at = isNarrow ? { x: MARGIN_PX, y: foot - 6 + LINE_PX } : { x: MARGIN_PX + 270, y: foot - 6 };
    drawColourBar(context, { ...at, width, scores, look: controls.look, label });
  }
  const degrees = Math.round(view.place().r);
  const turned = degrees ? ` · turned ${degrees}° clockwise` : "";
  const from = `slide ${slide.slide_id}${turned} · ${run.title} · model ${run.model_digest.slice(0, 12)}`;
  const by = `histofed ${run.version} · ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`;
  context.fillText(`${from} · ${by}`, MARGIN_PX, height + footPx - 12, width - 2 * MARGIN_PX);
  return canvas;
}

/** Hand the picture to the person at the page. */
export async function savePicture(screen, run, magnification) {
  const canvas = compose(screen, run, magnification);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (blob) {
    save(blob, `${screen.slide.slide_id}.png`);
    if (screen.second.isOpen) say("The picture is of the first of both views.", { brief: true });
  } else say("The picture could not be made; make the window smaller and try again.", { problem: true });
}
