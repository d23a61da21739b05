// The months: what waits; approving all that is proposed.

import { act } from "./acts.js";
import { confirmed, tell } from "./dialogs.js";
import { step } from "./grid.js";
import { fetched, show } from "./paging.js";

const QUIET = 700;

export function months(main, signal) {
  const all = main.querySelector("#approve-all");
  const better = main.querySelector("#exchange-all");
  const changed = main.querySelector("#bring-back");
  const links = () => [...main.querySelectorAll(".month")];

  async function approve_all() {
    if (!all) {
      tell("Nothing is proposed right now.");
      return;
    }
    const { files, bytes, roots } = all.dataset;
    const first = JSON.parse(roots);
    const lines = [`${files} move into duplicates/ folders beside their months; ${bytes} are freed there once you empty those folders yourself.`,
      "Each has a keeper that stays, read and compared again at the move. Nothing is deleted; u takes all of it back."];
    if (first.length) lines.push(`From then on dedupd moves proven duplicates by itself in ${first.slice(0, 4).join(", ")}.`);
    if (await confirmed("Approve all that is proposed?", lines, { answer: "Move them" })) {
      act({ label: `approved all proposed (${files})`, requests: [["/api/approve", { all: true }]], groups: [] });
    }
  }

  async function exchange_all() {
    if (!better) return;
    const { files } = better.dataset;
    const lines = [`${files} in duplicates/ hold more than the photo that stayed: colours, pixels, a film …`,
      "They come back, and what holds less moves aside instead. Where each of two holds something, both stay and wait for you. Nothing is deleted."];
    if (await confirmed("Exchange them?", lines, { answer: "Exchange" })) {
      act({ label: `exchanged ${files}`, requests: [["/api/exchange", {}]], groups: [] });
    }
  }

  async function bring_back() {
    if (!changed) return;
    const { files } = changed.dataset;
    const lines = [`${files} in duplicates/ would not move today: something small was changed in its place between the shot and the one that stayed.`,
      "They come back beside it, and are not moved again unless you approve them. Nothing is deleted."];
    if (await confirmed("Bring them back?", lines, { answer: "Bring back" })) {
      act({ label: `brought back ${files} in which something was changed`, requests: [["/api/undo", { held_changed: true }]], groups: [] });
    }
  }

  all?.addEventListener("click", approve_all, { signal });
  better?.addEventListener("click", exchange_all, { signal });
  changed?.addEventListener("click", bring_back, { signal });
  follow_page(main, signal);
  const arrow = (event) => step(links(), event.key);
  return { A: approve_all, x: exchange_all, b: bring_back, ArrowLeft: arrow, ArrowRight: arrow, ArrowUp: arrow, ArrowDown: arrow };
}

/** Shows the page anew, some moments after something of it changed, with the focus where it was. */
export function follow_page(main, signal, events = ["status", "month", "moved", "resync", "line", "acted"]) {
  let waits = 0;
  let seen_line = false;
  const again = (event) => {
    if (event.type === "dedupd:line" && !seen_line) {
      seen_line = true; // the first one only says how it is
      return;
    }
    clearTimeout(waits);
    waits = setTimeout(async () => {
      if (signal.aborted || document.querySelector("dialog[open]")) return;
      const url = location.pathname + location.search;
      const page = await fetched(url).catch(() => null);
      if (!page || signal.aborted) return;
      const held = document.activeElement?.closest?.("#main a[href]")?.getAttribute("href");
      const top = scrollY;
      await show(url, { push: false, page });
      scrollTo(0, top);
      if (held) document.querySelector(`#main a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
    }, QUIET);
  };
  for (const name of events) document.addEventListener(`dedupd:${name}`, again, { signal });
  signal.addEventListener("abort", () => clearTimeout(waits));
}
