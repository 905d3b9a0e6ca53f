// Two views that move together: the same slide twice, or two slides at the same magnification.

/** Turn a displacement by so many degrees. */
function turned({ x, y }, degrees) {
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  return { x: cos * x - sin * y, y: sin * x + cos * y };
}

export class Link {
  constructor(left, right) {
    this.views = [left, right];
    this.anchors = null;
    this.leader = left;
    for (const kind of ["pointerdown", "wheel", "keydown"]) {
      document.addEventListener(kind, (event) => this.#choose(event), { capture: true, passive: true });
    }
  }

  /** The right view leads while it is moved itself; buttons and all keys but the arrows are the left one's. */
  #choose({ type, key, target }) {
    const [left, right] = this.views;
    const moves = type !== "keydown" || key.startsWith("Arrow");
    this.leader = moves && right.viewer.element.contains(target) ? right : left;
  }

  /**
   * From now on both move together, from where they are; the same slide is brought in line. Where
   * the whole of the left slide was in sight, the whole of both is, at one magnification.
   */
  tie() {
    const [left, right] = this.views;
    this.leader = left;
    left.beside = right;
    if (left.whole) left.showWhole();
    if (left.slide.slide_id === right.slide.slide_id) right.goTo(left.place());
    else if (left.whole) right.goTo({ z: (left.place().z * right.slide.mpp) / left.slide.mpp });
    this.anchors = this.views.map((view) => view.place());
  }

  untie() {
    this.anchors = null;
    this.views[0].beside = null;
    this.leader = this.views[0];
  }

  /** The other view follows; call it whenever a view has moved. */
  follow(view) {
    if (!this.anchors || view !== this.leader) return;
    const other = this.views.find((each) => each !== view);
    if (!other.image) return;
    const [from, to] = [view, other].map((each) => this.anchors[this.views.indexOf(each)]);
    const now = view.place();
    const ratio = view.slide.mpp / other.slide.mpp; // their level-0 pixels may differ in size
    const moved = turned({ x: now.x - from.x, y: now.y - from.y }, from.r - to.r);
    other.goTo({
      x: to.x + ratio * moved.x,
      y: to.y + ratio * moved.y,
      z: now.z / ratio,
      r: to.r + now.r - from.r,
    });
  }
}
