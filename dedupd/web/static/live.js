// What the daemon tells, as it tells it: events on the document, and the line at the top of every page.
// Must never hold a connection for a page that nobody sees: a browser has six for all its tabs.

import { ask, get } from "./acts.js";
import { tell } from "./dialogs.js";
import { number, progress, resting, size } from "./words.js";

let stream = null;
const words = document.getElementById("doing-words");
const bar = document.getElementById("doing-bar");
const starter = document.getElementById("start-daemon");
/** `up`: whether a daemon answers; null while nobody can say. `doing`: the work that is done. `rests`: else, why none is. */
const known = { up: true, doing: null, rests: "idle" };

function say() {
  const { doing } = known;
  words.textContent = known.up === null ? "reconnecting …" : !known.up ? "no daemon answers" : doing ? progress(doing) : known.rests;
  words.title = words.textContent;
  bar.hidden = !known.up || !doing?.total;
  if (!bar.hidden) bar.value = doing.done / doing.total;
}

function know(news) {
  Object.assign(known, news);
  say();
}

const know_status = (status) => know({ up: status.daemon !== "stopped", doing: status.progress, rests: resting(status) });

/** What went by while nobody listened. */
async function catch_up() {
  const status = await get("/api/status").catch(() => null);
  if (status) know_status(status);
}

function open() {
  if (stream || document.hidden) return;
  stream = new EventSource("/api/events");
  for (const name of ["line", "status", "progress", "month", "moved", "attention", "resync"]) {
    stream.addEventListener(name, (event) => {
      document.dispatchEvent(new CustomEvent(`dedupd:${name}`, { detail: JSON.parse(event.data) }));
    });
  }
  stream.onerror = () => know({ up: null });
}

/** A daemon that goes on when this page is closed. */
async function start() {
  starter.disabled = true;
  words.textContent = "starting a daemon …";
  try {
    await ask("/api/start", {});
    tell("A daemon runs; it goes on when this page is closed.");
  } catch (error) {
    say();
    tell(error.message, "bad");
  }
  starter.disabled = false;
}

export function follow() {
  open();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      open();
      document.dispatchEvent(new CustomEvent("dedupd:resync", { detail: {} }));
    } else if (stream) {
      stream.close();
      stream = null;
    }
  });
  document.addEventListener("dedupd:line", ({ detail }) => {
    const up = detail.daemon === "running";
    if (up) catch_up();
    else know({ up });
    if (starter) starter.hidden = up;
  });
  starter?.addEventListener("click", start);
  document.addEventListener("dedupd:progress", ({ detail }) => {
    know({ up: true, doing: detail.progress });
  });
  document.addEventListener("dedupd:status", ({ detail }) => {
    know_status(detail.status);
    for (const [name, told] of [["photos", number], ["groups_waiting", number], ["moved", number], ["bytes_saved", size]]) {
      const place = document.getElementById(`sum-${name}`);
      if (place) place.textContent = told(detail.status[name]);
    }
  });
}
