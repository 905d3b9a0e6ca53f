// The slide: OpenSeadragon with our zoom tiles, and the heat map and outlines above it.

import { tileAddress } from "./api.js";
import { Heatmap } from "./heatmap.js";
import { Outlines } from "./outlines.js";
import { MAGNIFICATIONS, micronsPerPixelAt } from "./scale.js";

const { OpenSeadragon } = globalThis;
const ZOOM_STEP = 1.5;
const PAN_PX = 120;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const FLY_TO_TILE_PX = 224; // a tile that is flown to is so large on the screen

/**
 * OpenSeadragon puts a <style> of its own into the page unless it finds one of that name. The page
 * allows no inline style, so it finds this: an element of that name and of no kind, without effect.
 */
function preventInlineStyle() {
  if (document.querySelector("[data-openseadragon-mobile-css]")) return;
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

const OPTIONS = {
  showNavigationControl: false, // its buttons are pictures; ours are text
  // OpenSeadragon's WebGL drawer was seen to paint a wrong tile where there is no graphics card.
  drawer: "canvas",
  smoothTileEdgesMinZoom: Infinity, // it leaves the last screen pixels bare; our tiles overlap
  navigatorPosition: "TOP_RIGHT",
  navigatorAutoFade: false,
  navigatorOpacity: 1,
  navigatorBackground: "#0e1114",
  navigatorBorderColor: "#75818f",
  navigatorSizeRatio: 0.16,
  navigatorDisplayRegionColor: "#6cc5b9",
  keyboardNavEnabled: false, // its letters would collide with ours
  preserveImageSizeOnResize: true, // the magnification stays as it was
  visibilityRatio: 0.5,
  // A click only focuses; double-click and wheel zoom.
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
  timeout: 60000,
};

export class SlideView {
  #whole = true;

  /** `onView()` follows every move; `onProblem(words)` a part that fails. */
  constructor({ element, label, navigator = true, onView, onProblem }) {
    this.slide = null;
    this.beside = null; // the view that moves along
    preventInlineStyle();
    const animationTime = STILL.matches ? 0 : 0.35;
    this.viewer = OpenSeadragon({ ...OPTIONS, element, animationTime, showNavigator: navigator });
    const imageToScreen = (x, y) => this.toScreen(x, y);
    this.heatmap = new Heatmap({ container: this.viewer.canvas, imageToScreen });
    this.outlines = new Outlines({ container: this.viewer.canvas, imageToScreen });
    this.viewer.canvas.setAttribute("role", "application");
    this.viewer.canvas.setAttribute("aria-label", `${label}: arrow keys move, plus and minus zoom`);
    this.viewer.addHandler("update-viewport", () => {
      if (!this.image) return;
      this.heatmap.draw();
      this.outlines.draw();
      onView();
    });
    // Who sees the whole slide goes on seeing it when the window, or the text below, changes size.
    this.viewer.addHandler("after-resize", () => {
      this.viewer.navigator?.updateSize();
      queueMicrotask(() => this.#fit()); // the viewer has yet to finish
    });
    for (const moved of ["canvas-drag", "canvas-scroll", "canvas-pinch", "canvas-double-click"]) {
      this.viewer.addHandler(moved, () => {
        this.whole = false;
      });
    }
    this.viewer.addHandler("tile-load-failed", () =>
      onProblem("Part of this slide could not be loaded. If it goes on, its file has gone, or the server has stopped."),
    );
    this.viewer.canvas.addEventListener("keydown", (event) => this.#pan(event));
  }

  get image() {
    return this.viewer.world.getItemAt(0);
  }

  /** Whether the whole slide is in sight: then no overview lies over it. */
  get whole() {
    return this.#whole;
  }

  set whole(value) {
    this.#whole = value;
    this.viewer.element.classList.toggle("whole", value);
  }

  get viewport() {
    return this.viewer.viewport;
  }

  focus() {
    this.viewer.canvas.focus({ preventScroll: true });
  }

  /** Show a slide from its description by the server; resolves when it is open. */
  open(slide) {
    this.slide = slide;
    this.whole = true;
    this.heatmap.clear();
    this.outlines.clear();
    const { viewer } = this;
    return new Promise((resolve, reject) => {
      const done = (event) => {
        viewer.removeHandler("open", done);
        viewer.removeHandler("open-failed", done);
        if (event.message) return reject(new Error(event.message));
        this.viewport.setRotation(0, true); // the last slide's turn is not this one's
        this.#fit();
        return resolve();
      };
      viewer.addHandler("open", done);
      viewer.addHandler("open-failed", done);
      viewer.open(tileSource(slide));
    });
  }

  close() {
    this.slide = null;
    this.heatmap.clear();
    this.outlines.clear();
    this.viewer.close();
  }

  /** CSS pixels of the viewer for level-0 pixels of the slide, as drawn at this moment. */
  toScreen(x, y) {
    const point = this.image.imageToViewportCoordinates(x, y, true);
    return this.viewport.pixelFromPoint(point, true);
  }

  /** Level-0 pixels of the slide for CSS pixels of the viewer. */
  toSlide(x, y) {
    const point = this.viewport.pointFromPixel(new OpenSeadragon.Point(x, y), true);
    return this.image.viewportToImageCoordinates(point, true);
  }

  micronsPerScreenPixel() {
    return this.slide.mpp / this.place().z;
  }

  /** Where the view is: x, y its middle, z screen pixels per level-0 pixel, r degrees turned. */
  place() {
    const middle = this.image.viewportToImageCoordinates(this.viewport.getCenter(true), true);
    const z = this.image.viewportToImageZoom(this.viewport.getZoom(true));
    return { x: middle.x, y: middle.y, z, r: this.viewport.getRotation(true) };
  }

  /** Go to a place, or part of one; at once unless `fly`. */
  goTo({ x, y, z, r }, { fly = false } = {}) {
    const { viewport, image } = this;
    if (r !== undefined) viewport.setRotation(r, !fly);
    if (z !== undefined) viewport.zoomTo(image.imageToViewportZoom(z), null, !fly);
    if (x !== undefined && y !== undefined) {
      viewport.panTo(image.imageToViewportCoordinates(x, y), !fly);
    }
    if (x !== undefined || z !== undefined) this.whole = false;
  }

  /** Show the whole slide, and at the same magnification the whole one beside it. */
  showWhole({ fly = false } = {}) {
    this.whole = true;
    this.viewport.goHome(!fly);
    if (!this.beside) return;
    const microns = Math.max(this.#micronsOfWhole(), this.beside.#micronsOfWhole());
    this.viewport.zoomTo(this.image.imageToViewportZoom(this.slide.mpp / microns), null, !fly);
  }

  #micronsOfWhole() {
    return this.slide.mpp / this.image.viewportToImageZoom(this.viewport.getHomeZoom());
  }

  /** Zoom in (1), out (-1), or to the whole slide (0). */
  zoom(direction) {
    if (!this.image) return;
    this.whole = direction === 0;
    if (this.whole) this.showWhole({ fly: true });
    else this.viewport.zoomBy(ZOOM_STEP ** direction);
    this.viewport.applyConstraints();
  }

  magnify(magnification) {
    if (!this.image) return;
    this.viewport.zoomTo(this.#zoomAt(magnification));
    this.viewport.applyConstraints();
    this.whole = false;
  }

  /** Turn the slide to so many degrees. */
  turn(degrees) {
    if (this.image) this.viewport.setRotation(((degrees % 360) + 360) % 360);
  }

  /** Fly to a square of the slide and outline it. */
  flyTo(box) {
    this.outlines.mark(box);
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    this.goTo({ ...middle, z: FLY_TO_TILE_PX / box.width }, { fly: true });
  }

  /** Fly to where points lie, with room around them. */
  flyToPoints(points) {
    const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
    const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
    const { x: across, y: down } = this.viewport.getContainerSize();
    const z = Math.min(across / (right - left), down / (bottom - top), 2) / 2;
    this.goTo({ x: (left + right) / 2, y: (top + bottom) / 2, z }, { fly: true });
  }

  #zoomAt(magnification) {
    return this.image.imageToViewportZoom(this.slide.mpp / micronsPerPixelAt(magnification));
  }

  /** Every magnification on offer can be reached, however small or coarse the slide. */
  #allowMagnifications() {
    const { viewport } = this;
    const whole = viewport.getHomeZoom();
    viewport.minZoomLevel = Math.min(0.7 * whole, this.#zoomAt(MAGNIFICATIONS[0]));
    viewport.maxZoomLevel = Math.max(
      this.image.imageToViewportZoom(4),
      1.001 * this.#zoomAt(MAGNIFICATIONS.at(-1)),
    );
  }

  /** Do what depends on the size of the view. */
  #fit() {
    if (!this.image) return;
    this.#allowMagnifications();
    if (this.whole) this.showWhole();
  }

  #pan(event) {
    const [x, y] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (x === undefined || !this.image || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.whole = false;
    const { viewport } = this;
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(PAN_PX * x, PAN_PX * y)));
    viewport.applyConstraints();
  }
}
