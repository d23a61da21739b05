// What the daemon tells, as it tells it: events on the document, and the line at the top of every page.
// Must never hold a connection for a page that nobody sees: a browser has six for all its tabs.

import { ask } from "./acts.js";
import { tell } from "./dialogs.js";
import { number, progress, size } from "./words.js";

let stream = null;
const words = document.getElementById("doing-words");
const bar = document.getElementById("doing-bar");
const idle = { status: null };
const starter = document.getElementById("start-daemon");

function open() {
  if (stream || document.hidden) return;
  stream = new EventSource("/api/events");
  for (const name of ["line", "status", "progress", "month", "moved", "attention", "resync"]) {
    stream.addEventListener(name, (event) => {
      document.dispatchEvent(new CustomEvent(`dedupd:${name}`, { detail: JSON.parse(event.data) }));
    });
  }
  stream.onerror = () => { words.textContent = "reconnecting …"; };
}

/** A daemon that goes on when this page is closed. */
async function start() {
  starter.disabled = true;
  words.textContent = "starting a daemon …";
  try {
    await ask("/api/start", {});
    tell("A daemon runs; it goes on when this page is closed.");
  } catch (error) {
    words.textContent = "no daemon answers";
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
    words.textContent = detail.daemon === "running" ? "idle" : "no daemon answers";
    bar.hidden = true;
    if (starter) starter.hidden = detail.daemon === "running";
  });
  starter?.addEventListener("click", start);
  document.addEventListener("dedupd:progress", ({ detail }) => {
    const doing = detail.progress;
    words.textContent = doing ? progress(doing) : idle.status?.paused ? "paused" : "idle";
    bar.hidden = !doing?.total;
    if (doing?.total) bar.value = doing.done / doing.total;
  });
  document.addEventListener("dedupd:status", ({ detail }) => {
    idle.status = detail.status;
    for (const [name, told] of [["photos", number], ["groups_waiting", number], ["moved", number], ["bytes_saved", size]]) {
      const place = document.getElementById(`sum-${name}`);
      if (place) place.textContent = told(detail.status[name]);
    }
  });
}
