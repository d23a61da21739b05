// Two pictures that are looked at at the same place: side by side, under a slider, in turns, or as what differs.
// Must never send for more of a picture than is shown.

import { differences, find_place, WHOLE } from "./difference.js";

const SIDES = [256, 1280, 2560, 65500];
const EVERY_PIXEL = SIDES[3];
const MOST = 16;
const BLINK = 600;
const url_of = (file, side) => `/api/pictures/${file}?side=${side}`;

/** Pictures that were loaded ahead: kept, so that the browser keeps them decoded. */
const ahead = new Map();

export class Stage {
  #keeper = null;
  #other = null;
  #place = WHOLE;
  #view = { zoom: 1, x: 0.5, y: 0.5 };
  #mode = "side";
  #blinks = 0;
  #drawn = 0;

  constructor(element, canvas, split, signal, told) {
    this.element = element;
    this.canvas = canvas;
    this.split = split;
    this.told = told;
    this.panes = ["keeper", "other"].map((role) => {
      const pane = element.querySelector(`.pane.${role}`);
      return { pane, view: pane.querySelector(".view"), img: pane.querySelector("img"), caption: pane.querySelector("figcaption"), photo: null, side: 0, natural: null };
    });
    split.addEventListener("input", () => this.place(), { signal });
    const seen = new ResizeObserver(() => this.place());
    seen.observe(element);
    signal.addEventListener("abort", () => { seen.disconnect(); clearInterval(this.#blinks); });
    for (const pane of this.panes) this.#follow_pointer(pane, signal);
  }

  get mode() { return this.#mode; }

  set mode(name) {
    this.#mode = name;
    this.element.dataset.mode = name;
    clearInterval(this.#blinks);
    this.panes[1].pane.classList.remove("away");
    if (name === "blink") {
      this.#blinks = setInterval(() => {
        this.panes[1].pane.classList.toggle("away");
        this.place();
      }, BLINK);
    }
  }

  /** other: null shows the keeper alone. badges: a word for each. */
  show(keeper, other, badges) {
    const changed = keeper.file !== this.#keeper?.file || other?.file !== this.#other?.file;
    [this.#keeper, this.#other] = [keeper, other];
    if (changed) this.#place = WHOLE;
    this.#fill(this.panes[0], keeper, badges.keeper);
    this.#fill(this.panes[1], other ?? keeper, other ? badges.other : badges.keeper);
    this.panes[1].pane.hidden = !other;
    this.place();
  }

  #fill(pane, photo, badge) {
    const name = document.createElement("strong");
    name.textContent = photo.name;
    const mark = document.createElement("span");
    mark.textContent = badge;
    mark.className = "dim";
    pane.caption.replaceChildren(name, mark);
    if (pane.photo?.file === photo.file) return;
    Object.assign(pane, { photo, side: 0, natural: photo.width && photo.height ? [photo.width, photo.height] : null });
    pane.img.alt = `${photo.name}, ${photo.width}×${photo.height}`;
    this.#load(pane, 256);
  }

  /** A sharper one takes the place of the one that is shown as soon as it is decoded. */
  async #load(pane, side) {
    if (side <= pane.side) return;
    const { photo } = pane;
    pane.side = side;
    const image = loaded(photo.file, side);
    try {
      await image.decode();
    } catch {
      if (pane.photo === photo && side === 256) pane.img.removeAttribute("src");
      return;
    }
    if (pane.photo !== photo || side < pane.side) return;
    pane.natural = [image.naturalWidth, image.naturalHeight];
    pane.img.src = image.src;
    this.#align();
    this.place();
  }

  fetch_ahead(photos) {
    for (const photo of photos) loaded(photo.file, this.#side_of(photo, 1));
  }

  #side_of(photo, zoom) {
    const { view } = this.panes[0];
    const pixels = Math.max(view.clientWidth, view.clientHeight) * devicePixelRatio * zoom;
    return SIDES.slice(1).find((side) => side >= Math.min(pixels, Math.max(photo.width, photo.height) || pixels)) ?? EVERY_PIXEL;
  }

  /** Where a crop lies in its keeper, once both are there. */
  #align() {
    const [keeper, other] = this.panes;
    if (!this.#other || !keeper.img.src || !other.img.src || this.#place !== WHOLE || other.photo !== this.#other) return;
    if (!keeper.img.complete || !other.img.complete || !keeper.img.naturalWidth || !other.img.naturalWidth) {
      keeper.img.decode().then(() => other.img.decode()).then(() => { this.#align(); this.place(); }).catch(() => {});
      return;
    }
    this.#place = find_place(keeper.img, other.img);
  }

  // ---- where they lie

  /** Lays everything out anew: after a step, a zoom, another size. */
  place() {
    const { zoom, x, y } = this.#view;
    const [keeper, other] = this.panes;
    const base = this.#fit(keeper, null);
    if (!base) return;
    const overlay = this.#mode !== "side";
    this.#lay(keeper, base, zoom, x, y);
    const together = (overlay || zoom > 1) && this.#other;
    const cut = together && this.#place !== WHOLE;
    if (other.natural) {
      if (cut || (overlay && similar(keeper.natural, other.natural))) {
        const at = this.#place;
        this.#lay(other, [base[0] * at.width, base[1] * at.height, base[2], base[3]], zoom, (x - at.left) / at.width, (y - at.top) / at.height);
      } else this.#lay(other, this.#fit(other, overlay ? keeper : null), zoom, x, y);
    }
    other.view.style.clipPath = this.#mode === "slider" ? `inset(0 0 0 ${this.split.value}%)` : "";
    other.view.style.visibility = (this.#mode === "blink" && other.pane.classList.contains("away")) || this.#mode === "difference" ? "hidden" : "";
    this.split.parentElement.hidden = this.#mode !== "slider";
    this.#differ(base);
    for (const pane of this.panes) this.#load(pane, this.#side_of(pane.photo, zoom));
    const shown = (base[0] * zoom * devicePixelRatio) / (this.#keeper.width || keeper.natural[0]);
    this.told(zoom === 1 ? "all" : `${Math.round(shown * 100)} %`);
  }

  /** [width, height of the picture, width, height of its box] in CSS pixels, all of it in sight. */
  #fit(pane, in_place_of) {
    const box = (in_place_of ?? pane).view;
    const [wide, high] = [box.clientWidth, box.clientHeight];
    if (!wide || !high || !pane.natural) return null;
    const scale = Math.min(wide / pane.natural[0], high / pane.natural[1]);
    return [pane.natural[0] * scale, pane.natural[1] * scale, wide, high];
  }

  #lay(pane, fit, zoom, x, y) {
    if (!fit) return;
    const [width, height, wide, high] = fit;
    const { style } = pane.img;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.transform = `translate(${wide / 2 - x * width * zoom}px, ${high / 2 - y * height * zoom}px) scale(${zoom})`;
    style.imageRendering = zoom * width * devicePixelRatio > 2 * Math.max(...pane.natural) ? "pixelated" : "";
  }

  #differ(base) {
    const [keeper, other] = this.panes;
    const on = this.#mode === "difference" && Boolean(this.#other);
    this.canvas.hidden = !on;
    if (!on || !keeper.img.naturalWidth || !other.img.naturalWidth) return;
    const { zoom, x, y } = this.#view;
    const { style } = this.canvas;
    const box = keeper.view;
    style.width = `${box.clientWidth}px`;
    style.height = `${box.clientHeight}px`;
    style.left = `${box.offsetLeft}px`;
    style.top = `${box.offsetTop}px`;
    cancelAnimationFrame(this.#drawn);
    this.#drawn = requestAnimationFrame(() => differences(this.canvas, keeper.img, other.img, this.#place, { zoom, x, y, base }));
  }

  // ---- zoom and pan, of both at once

  #most() {
    const base = this.#fit(this.panes[0], null);
    return base ? Math.max(1, (MOST * (this.#keeper.width || this.panes[0].natural[0])) / base[0] / devicePixelRatio / 4) : 1;
  }

  #look(zoom, x, y) {
    zoom = Math.max(1, Math.min(this.#most(), zoom));
    const half = 0.5 / zoom;
    const inside = (at) => Math.max(half, Math.min(1 - half, at));
    this.#view = { zoom, x: inside(x), y: inside(y) };
    this.place();
  }

  zoom_by(factor, at = null) {
    const { zoom, x, y } = this.#view;
    const next = Math.max(1, Math.min(this.#most(), zoom * factor));
    if (!at) this.#look(next, x, y);
    else this.#look(next, at[0] + ((x - at[0]) * zoom) / next, at[1] + ((y - at[1]) * zoom) / next);
  }

  /** One pixel of the keeper on one of the screen. */
  zoom_full(at = null) {
    const base = this.#fit(this.panes[0], null);
    if (base) this.zoom_by((this.#keeper.width || this.panes[0].natural[0]) / base[0] / devicePixelRatio / this.#view.zoom, at);
  }

  zoom_all() { this.#look(1, 0.5, 0.5); }

  /** By a quarter of what is shown. False when all is in sight. */
  pan(dx, dy) {
    const { zoom, x, y } = this.#view;
    if (zoom === 1) return false;
    this.#look(zoom, x + (dx * 0.25) / zoom, y + (dy * 0.25) / zoom);
    return true;
  }

  #follow_pointer(pane, signal) {
    const held = new Map();
    const { view } = pane;
    const part = (event) => {
      const base = this.#fit(this.panes[0], null);
      const box = view.getBoundingClientRect();
      const { zoom, x, y } = this.#view;
      return base && [x + (event.clientX - box.left - box.width / 2) / base[0] / zoom, y + (event.clientY - box.top - box.height / 2) / base[1] / zoom];
    };
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom_by(Math.exp(-event.deltaY / 400), part(event));
    }, { signal, passive: false });
    view.addEventListener("dblclick", (event) => { if (this.#view.zoom > 1) this.zoom_all(); else this.zoom_full(part(event)); }, { signal });
    view.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, event);
      view.setPointerCapture(event.pointerId);
      view.classList.add("held");
    }, { signal });
    for (const name of ["pointerup", "pointercancel"]) {
      view.addEventListener(name, (event) => { held.delete(event.pointerId); if (!held.size) view.classList.remove("held"); }, { signal });
    }
    view.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      const base = this.#fit(this.panes[0], null);
      if (!before || !base) return;
      held.set(event.pointerId, event);
      const { zoom, x, y } = this.#view;
      if (held.size === 1) {
        this.#look(zoom, x - (event.clientX - before.clientX) / base[0] / zoom, y - (event.clientY - before.clientY) / base[1] / zoom);
      } else {
        const [still] = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const far = (at) => Math.hypot(at.clientX - still.clientX, at.clientY - still.clientY);
        if (far(before) > 1) this.zoom_by(far(event) / far(before), part(still));
      }
    }, { signal });
  }
}

function loaded(file, side) {
  const key = `${file}/${side}`;
  if (!ahead.has(key)) {
    const image = new Image();
    image.decoding = "async";
    image.src = url_of(file, side);
    image.decode().catch(() => ahead.delete(key));
    ahead.set(key, image);
    if (ahead.size > 40) ahead.delete(ahead.keys().next().value);
  }
  return ahead.get(key);
}

const similar = (a, b) => Math.abs(Math.log((a[0] * b[1]) / (a[1] * b[0]))) < 0.05;
