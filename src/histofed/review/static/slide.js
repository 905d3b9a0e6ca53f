// The slide: OpenSeadragon with our zoom tiles, and the heat map above it.

import { tileAddress } from "./api.js";
import { Heatmap } from "./heatmap.js";

const { OpenSeadragon } = globalThis;
const ZOOM_STEP = 1.5;
const PAN_PX = 120;

/**
 * OpenSeadragon puts a <style> of its own into the page unless it finds one of that name. The page
 * allows no inline style, so it finds this: an element of that name and of no kind, without effect.
 */
function preventInlineStyle() {
  const marker = document.createElementNS(null, "style");
  marker.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(marker);
}

function tileSource(slide) {
  return {
    width: slide.width_px0,
    height: slide.height_px0,
    tileSize: slide.zoom_tile_px,
    tileOverlap: slide.overlap_px,
    minLevel: slide.min_level,
    maxLevel: slide.max_level,
    getTileUrl: (level, col, row) => tileAddress(slide.slide_id, level, col, row),
  };
}

export class SlideView {
  /** `onView(micronsPerScreenPixel)` follows the zoom; `onProblem(words)` a part that fails. */
  constructor({ element, onView, onProblem }) {
    this.slide = null;
    this.whole = true;
    preventInlineStyle();
    this.viewer = OpenSeadragon({
      element,
      showNavigationControl: false, // its buttons are pictures; ours are text
      // OpenSeadragon's WebGL drawer was seen to paint a wrong tile where there is no graphics card.
      drawer: "canvas",
      smoothTileEdgesMinZoom: Infinity, // it leaves the last screen pixels bare; our tiles overlap
      showNavigator: true,
      navigatorPosition: "TOP_RIGHT",
      navigatorAutoFade: false,
      navigatorOpacity: 1,
      navigatorBackground: "#0e1114",
      navigatorBorderColor: "#75818f",
      navigatorSizeRatio: 0.16,
      navigatorDisplayRegionColor: "#6cc5b9",
      keyboardNavEnabled: false, // its letters would collide with ours
      animationTime: 0.35,
      visibilityRatio: 0.5,
      maxZoomPixelRatio: 4,
      minZoomImageRatio: 0.7,
      zoomPerClick: 1, // a click only focuses; double-click and wheel zoom
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      timeout: 60000,
    });
    this.heatmap = new Heatmap({
      container: this.viewer.canvas,
      imageToScreen: (x, y) => this.toScreen(x, y),
    });
    this.viewer.canvas.setAttribute("aria-label", "Slide: arrow keys move, plus and minus zoom");
    this.viewer.addHandler("update-viewport", () => {
      if (!this.image) return;
      this.heatmap.draw();
      onView(this.micronsPerScreenPixel());
    });
    // Who sees the whole slide goes on seeing it when the window, or the text below, changes size.
    this.viewer.addHandler("animation-finish", () => {
      this.whole = this.#isWhole();
    });
    this.viewer.addHandler("after-resize", () => {
      if (this.whole) queueMicrotask(() => this.#goHome()); // the viewer has yet to finish
    });
    this.viewer.addHandler("tile-load-failed", () =>
      onProblem("Part of this slide could not be loaded."),
    );
    this.viewer.canvas.addEventListener("keydown", (event) => this.#pan(event));
  }

  get image() {
    return this.viewer.world.getItemAt(0);
  }

  /** Show a slide from its description by the server; resolves when it is open. */
  open(slide) {
    this.slide = slide;
    this.whole = true;
    this.heatmap.clear();
    const { viewer } = this;
    return new Promise((resolve, reject) => {
      const done = (event) => {
        viewer.removeHandler("open", done);
        viewer.removeHandler("open-failed", done);
        if (event.message) reject(new Error(event.message));
        else resolve();
      };
      viewer.addHandler("open", done);
      viewer.addHandler("open-failed", done);
      viewer.open(tileSource(slide));
    });
  }

  close() {
    this.slide = null;
    this.heatmap.clear();
    this.viewer.close();
  }

  /** CSS pixels of the viewer for level-0 pixels of the slide, as drawn at this moment. */
  toScreen(x, y) {
    const point = this.image.imageToViewportCoordinates(x, y, true);
    return this.viewer.viewport.pixelFromPoint(point, true);
  }

  micronsPerScreenPixel() {
    const [a, b] = [this.toScreen(0, 0), this.toScreen(1e4, 0)];
    return (this.slide.mpp * 1e4) / Math.hypot(b.x - a.x, b.y - a.y);
  }

  zoom(direction) {
    if (!this.image) return;
    if (direction === 0) this.viewer.viewport.goHome();
    else this.viewer.viewport.zoomBy(ZOOM_STEP ** direction);
    this.viewer.viewport.applyConstraints();
  }

  #goHome() {
    if (!this.image) return;
    this.viewer.viewport.goHome(true);
    this.whole = true;
  }

  #isWhole() {
    const { viewport } = this.viewer;
    return Math.abs(viewport.getZoom() / viewport.getHomeZoom() - 1) < 1e-3;
  }

  #pan(event) {
    const [x, y] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (x === undefined || !this.image || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const { viewport } = this.viewer;
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(PAN_PX * x, PAN_PX * y)));
    viewport.applyConstraints();
  }
}
