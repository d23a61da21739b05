// The groups of a month: decide without opening them, or all of a class at once after a list of what happens.
// Must never act on a group whose version is not the one that is listed.

import { act, decided, get } from "./acts.js";
import { confirmed, tell } from "./dialogs.js";
import { step } from "./grid.js";
import { known, Marks } from "./marks.js";
import { fetched, show } from "./paging.js";
import { plural } from "./words.js";

const AT_ONCE = 500;
const QUIET = 500;

export function groups(main, signal) {
  const cards = () => [...main.querySelectorAll(".card")];
  const links = () => cards().map((card) => card.querySelector("a"));
  const here = () => document.activeElement?.closest(".card");
  const url_of = (card) => card.querySelector("a").getAttribute("href");

  function current({ waiting }) {
    const card = here();
    if (!card) {
      tell("Choose a group first: the arrow keys go to one.");
      return null;
    }
    if (card.classList.contains("busy")) return null;
    if (waiting && !card.dataset.waits) {
      tell("This group is settled already; Enter shows it, u takes the last action back.");
      return null;
    }
    return card;
  }

  function settle(card, label, requests, before = []) {
    const id = Number(card.dataset.id);
    const following = next_waiting(card);
    card.classList.add("busy");
    card.dataset.waits = "";
    act({ label, requests, groups: [id], before, url: url_of(card) }).then((done) => {
      if (!done) card.dataset.waits = "1";
      card.classList.remove("busy");
    });
    following?.querySelector("a").focus();
    if (!following) tell("Nothing more waits here.");
  }

  function next_waiting(card) {
    const all = cards();
    const at = all.indexOf(card);
    return [...all.slice(at + 1), ...all.slice(0, at)].find((other) => other.dataset.waits && !decided.has(Number(other.dataset.id)));
  }

  /** As in the comparison: what is proven moves, what is only similar stays. */
  async function approve(card) {
    let detail;
    try {
      detail = await get(`/api/groups/${card.dataset.id}`);
    } catch (error) {
      tell(error.message, "bad");
      return;
    }
    if (String(detail.group.version) !== card.dataset.version) {
      tell("This group changed just now: nothing was done. Look at it again.", "bad");
      refresh();
      return;
    }
    const marks = new Marks(known(detail));
    settle(card, `${marks.summary()}: ${card.dataset.title}`, marks.requests(), [[detail.group.state, detail.group.root]]);
  }

  const different = (card) => settle(card, `not duplicates: ${card.dataset.title}`, [[`/api/groups/${card.dataset.id}/reject`, { version: Number(card.dataset.version) }]]);

  async function reject() {
    const card = current({ waiting: false });
    if (card && await rejected(card.dataset.title, Number(card.dataset.moved))) {
      settle(card, `rejected ${card.dataset.title}`, [[`/api/groups/${card.dataset.id}/reject`, { version: Number(card.dataset.version) }]]);
    }
  }

  async function approve_shown() {
    let question;
    try {
      question = document.adoptNode((await fetched(main.dataset.question)).getElementById("question"));
    } catch (error) {
      tell(`What is listed could not be summed up: ${error.message}`, "bad");
      return;
    }
    const refs = JSON.parse(question.dataset.refs);
    const swaps = Boolean(question.dataset.swaps);
    if (!refs.length) {
      tell("Nothing that is listed waits.");
      return;
    }
    const typing = Number(question.dataset.unproven) ? "approve" : "";
    const words = swaps ? ["Exchange all that is listed?", "Exchange"] : ["Approve all that is listed?", "Move them"];
    if (!await confirmed(words[0], [question], { answer: words[1], typing })) return;
    const requests = [];
    for (let at = 0; at < refs.length; at += AT_ONCE) {
      const part = refs.slice(at, at + AT_ONCE).map(([id, version]) => ({ id, version }));
      requests.push([swaps ? "/api/exchange" : "/api/approve", { groups: part }]);
    }
    cards().forEach((card) => card.classList.add("busy"));
    const ids = refs.map(([id]) => id);
    act({ label: `${swaps ? "exchanged" : "approved"} ${plural(refs.length, "group")} of ${main.dataset.month}`, requests, groups: ids, before: swaps ? [] : JSON.parse(question.dataset.before) })
      .then(() => cards().forEach((card) => card.classList.remove("busy")));
  }

  // ---- how it follows what others do: in place, so that nothing moves below the focus

  let waits = 0;
  const soon = () => { clearTimeout(waits); waits = setTimeout(refresh, QUIET); };
  signal.addEventListener("abort", () => clearTimeout(waits));

  async function refresh() {
    const page = await fetched(location.pathname + location.search).catch(() => null);
    if (!page || signal.aborted || document.querySelector("dialog[open]")) return;
    const fresh = new Map([...page.querySelectorAll(".card")].map((card) => [card.dataset.id, card]));
    if (!main.querySelector(".cards") || !page.querySelector(".cards")) {
      if (fresh.size || !cards().length) {
        show(location.pathname + location.search, { push: false, page });
        return;
      }
    }
    const bar = main.querySelector(".bar");
    if (!bar.contains(document.activeElement)) bar.replaceWith(document.adoptNode(page.querySelector(".bar")));
    for (const card of cards()) {
      const now = fresh.get(card.dataset.id);
      fresh.delete(card.dataset.id);
      if (now && now.dataset.version === card.dataset.version && now.dataset.waits === card.dataset.waits) continue;
      if (now) {
        const held = card.contains(document.activeElement);
        card.replaceWith(document.adoptNode(now));
        if (held) now.querySelector("a").focus({ preventScroll: true });
      } else {
        card.dataset.waits = "";
        card.classList.add("settled");
        card.querySelector(".acts")?.remove();
      }
    }
    main.querySelector(".cards")?.append(...[...fresh.values()].map((card) => document.adoptNode(card)));
  }

  const filter = () => {
    const form = main.querySelector(".filter");
    const asked = [...new FormData(form)].filter(([key, value]) => value !== "" && !(key === "order" && value === "bytes"));
    const query = new URLSearchParams(asked).toString();
    show(location.pathname + (query ? `?${query}` : ""));
  };
  const sort = () => {
    const order = main.querySelector("#order");
    order.selectedIndex = (order.selectedIndex + 1) % order.length;
    filter();
  };
  const alike = () => {
    const query = new URLSearchParams(location.search);
    query.delete("offset");
    if (query.has("alike")) query.delete("alike");
    else {
      const card = current({ waiting: true });
      if (!card) return;
      query.set("alike", card.dataset.id);
    }
    show(`${location.pathname}?${query}`);
  };

  main.addEventListener("submit", (event) => { if (event.target.matches(".filter")) { event.preventDefault(); filter(); } }, { signal });
  main.addEventListener("change", (event) => { if (event.target.closest(".filter")) filter(); }, { signal });
  main.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.id === "approve-shown") approve_shown();
    if (!button?.dataset.act) return;
    const card = button.closest(".card");
    if (card.classList.contains("busy") || !card.dataset.waits) return;
    if (button.dataset.act === "approve") approve(card);
    else different(card);
  }, { signal });
  document.addEventListener("dedupd:month", ({ detail }) => { if (detail.month === main.dataset.month) soon(); }, { signal });
  for (const name of ["acted", "resync"]) document.addEventListener(`dedupd:${name}`, soon, { signal });
  (cards().find((card) => card.dataset.waits) ?? cards()[0])?.querySelector("a").focus({ preventScroll: true });

  const arrow = (event) => step(links(), event.key);
  const tab = (event) => main.querySelector(`.tabs [data-key="${event.key}"]`)?.click();
  const with_current = (work) => () => { const card = current({ waiting: true }); if (card) work(card); };
  return {
    a: with_current(approve), n: with_current(different), A: approve_shown, R: reject, e: alike, s: sort,
    w: () => { const box = main.querySelector("#settled"); box.checked = !box.checked; filter(); },
    "/": () => main.querySelector("#words").focus(),
    1: tab, 2: tab, 3: tab, 4: tab, 5: tab, ArrowLeft: arrow, ArrowRight: arrow, ArrowUp: arrow, ArrowDown: arrow,
  };
}

/** Asks for the typed word before a whole group is called no duplicates. */
export function rejected(title, moved) {
  const lines = [title, "None of its pictures are duplicates of each other, for ever, wherever they are moved."];
  if (moved) lines.push(`${plural(moved, "moved file")} ${moved === 1 ? "comes" : "come"} back.`);
  return confirmed("Reject the whole group?", lines, { answer: "Reject", typing: "reject" });
}
