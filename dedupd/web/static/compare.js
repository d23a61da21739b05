// One group: keeper and one candidate at a time, decided picture by picture or with one key.
// Must never act on a group that is not on the screen.

import { act, decided } from "./acts.js";
import { confirmed, tell } from "./dialogs.js";
import { rejected } from "./groups.js";
import { Marks } from "./marks.js";
import { fetch_ahead, fetched, forget_ahead, show } from "./paging.js";
import { Stage } from "./stage.js";
import { take_back } from "./taking_back.js";
import { size } from "./words.js";

const BADGES = { keeper: "keeper", move: "moves", keep: "stays", different: "no duplicate", moved: "moved" };
const QUIET = 400;

export function compare(main, signal) {
  const group = JSON.parse(main.dataset.known);
  const { query, up } = main.dataset;
  const marks = new Marks(group);
  const url_of = (id) => `/groups/${id}${query}`;
  const by_id = (id) => main.querySelector(`#${id}`);
  const shots = [...main.querySelectorAll("#strip li")];
  const stage = new Stage(by_id("stage"), by_id("difference"), by_id("split"), signal, (zoom) => { by_id("zoom-now").textContent = zoom; });
  let looked_at = (group.photos.find((photo) => photo.file !== marks.keeper) ?? group.photos[0]).file;
  let sent = false;

  // ---- what is shown

  function draw() {
    const other = looked_at === marks.keeper ? null : marks.photos.get(looked_at);
    stage.show(marks.photos.get(marks.keeper), other, { keeper: "keeper", other: other ? BADGES[marks.mark(other.file)] : "" });
    for (const shot of shots) {
      const file = Number(shot.dataset.file);
      const mark = marks.mark(file);
      const badge = shot.querySelector(".badge");
      badge.textContent = BADGES[mark];
      badge.className = `badge ${mark}`;
      shot.querySelector("button").setAttribute("aria-pressed", String(file === looked_at));
    }
    for (const part of main.querySelectorAll(".reasons .of")) part.hidden = Number(part.dataset.file) !== looked_at;
    for (const cell of main.querySelectorAll(".facts [data-file]")) cell.classList.toggle("looked", Number(cell.dataset.file) === looked_at);
    const done = is_settled();
    by_id("sum").textContent = done ? "settled" : `${marks.summary()}${marks.freed() ? ` · frees ${size(marks.freed())}` : ""}`;
    by_id("lost").textContent = done ? "" : loss();
    for (const id of ["move-or-stay", "make-keeper", "different"]) by_id(id).disabled = looked_at === marks.keeper;
    by_id("make-keeper").disabled ||= marks.settled;
    by_id("approve").firstChild.textContent = done ? "Next " : "Approve ";
  }

  const is_settled = () => marks.untouched && !group.waits;

  function loss() {
    const lost = marks.losses();
    if (!lost.length) return "";
    const [photo, clauses] = lost[0];
    const told = clauses.join("; it ");
    if (lost.length === 1) return `This puts ${photo.name} out of sight, and it alone ${told}.`;
    return `This puts ${lost.length} pictures out of sight that hold more than the keeper: ${photo.name} alone ${told}.`;
  }

  function look(file) {
    looked_at = file;
    draw();
    shots.find((shot) => Number(shot.dataset.file) === file)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function step(by) {
    const files = [marks.keeper, ...group.photos.map((photo) => photo.file).filter((file) => file !== marks.keeper)];
    look(files[(files.indexOf(looked_at) + by + files.length) % files.length]);
  }

  // ---- deciding

  function toggle() {
    if (!marks.toggle(looked_at)) tell("The keeper stays. To let it go, make another picture the keeper first (k).");
    draw();
  }

  function make_keeper() {
    if (looked_at === marks.keeper) return;
    const before = marks.keeper;
    if (!marks.make_keeper(looked_at)) tell("Some of this group moved already, so its keeper stays. Undo the moves first.");
    else look(before);
    draw();
  }

  /** A pair is settled at once; in a larger group it is a mark like the others. */
  function different() {
    if (!marks.toggle_different(looked_at)) {
      tell("This is the keeper: go to the picture that is no duplicate of it (→), or R for all.");
    } else if (group.photos.length === 2 && !group.left_out && marks.mark(looked_at) === "different") {
      send(`not duplicates: ${group.title}`, marks.requests(), group.before);
    }
    draw();
  }

  function approve() {
    const requests = is_settled() ? [] : marks.requests();
    if (requests.length) send(`${marks.summary()}: ${group.title}`, requests, group.before);
    else advance();
  }

  async function reject() {
    const moved = group.photos.filter((photo) => photo.role === "moved").length;
    if (await rejected(group.title, moved)) send(`rejected ${group.title}`, [[`/api/groups/${group.id}/reject`, { version: group.version }]]);
  }

  /** before: for what only moves files; a verdict that is forgotten needs none. */
  function send(label, requests, before = []) {
    if (sent) return;
    sent = true;
    act({ label, requests, groups: [group.id], before, url: url_of(group.id) }).then((done) => {
      if (done || signal.aborted) return;
      sent = false;
      again();
    });
    advance();
  }

  function advance() {
    const next = group.following.find((id) => !decided.has(id));
    if (next === undefined) {
      tell("Nothing more waits here.");
      show(up);
    } else show(url_of(next));
  }

  function take_back_mark() {
    if (marks.undo()) draw();
    else take_back();
  }

  // ---- what comes next, and what others do

  async function look_ahead() {
    const next = group.following.find((id) => !decided.has(id));
    if (next === undefined) return;
    const page = await fetch_ahead(url_of(next)).catch(() => null);
    const text = page?.getElementById("main")?.dataset.known;
    if (!text || signal.aborted) return;
    const its = JSON.parse(text);
    stage.fetch_ahead(its.photos.slice(0, 2));
  }

  let waits = 0;
  const soon = () => { clearTimeout(waits); waits = setTimeout(again, QUIET); };
  signal.addEventListener("abort", () => clearTimeout(waits));

  /** Something changed: this page anew when its group did, else only what comes next. */
  async function again() {
    forget_ahead();
    if (sent) return; // on the way to the next group already
    const page = await fetched(location.pathname + location.search).catch(() => null);
    if (!page || signal.aborted || sent || document.querySelector("dialog[open]")) return;
    const text = page.getElementById("main").dataset.known;
    const now = text ? JSON.parse(text) : null;
    if (now?.version === group.version && now.waits === group.waits) {
      group.following = now.following;
      look_ahead();
      return;
    }
    if (!marks.untouched) tell("This group changed meanwhile: your marks on it are gone. Look at it again.", "bad");
    show(location.pathname + location.search, { push: false, page });
  }

  document.addEventListener("dedupd:month", ({ detail }) => { if (detail.month === main.dataset.month) soon(); }, { signal });
  for (const name of ["acted", "resync"]) document.addEventListener(`dedupd:${name}`, soon, { signal });

  // ---- mouse and touch

  const mode = (name) => {
    stage.mode = stage.mode === name ? "side" : name;
    for (const button of main.querySelectorAll("[data-mode]")) if (button.matches("button")) button.setAttribute("aria-pressed", String(button.dataset.mode === stage.mode));
    draw();
  };
  const full = () => { main.classList.toggle("full"); stage.place(); };
  for (const shot of shots) shot.querySelector("button").addEventListener("click", () => look(Number(shot.dataset.file)), { signal });
  for (const button of main.querySelectorAll("button[data-mode]")) button.addEventListener("click", () => mode(button.dataset.mode), { signal });
  for (const [id, work] of [["move-or-stay", toggle], ["make-keeper", make_keeper], ["different", different], ["approve", approve],
    ["undo", take_back_mark], ["reject", reject], ["zoom-in", () => stage.zoom_by(1.5)], ["zoom-out", () => stage.zoom_by(1 / 1.5)],
    ["zoom-full", () => stage.zoom_full()], ["zoom-all", () => stage.zoom_all()]]) by_id(id).addEventListener("click", work, { signal });
  for (const button of main.querySelectorAll(".exchange")) {
    button.addEventListener("click", async () => {
      const lines = ["What holds more comes back, and what holds less moves aside instead. Where each of two holds something, both stay and wait for you. Nothing is deleted."];
      if (await confirmed(`Exchange ${button.dataset.title} with its keeper?`, lines, { answer: "Exchange" })) {
        send(`exchanged ${button.dataset.title}`, [["/api/exchange", { groups: [{ id: group.id, version: group.version }] }]]);
      }
    }, { signal });
  }

  draw();
  look_ahead();
  const beside = (id) => { if (id) show(url_of(id)); };
  const next = () => beside(main.dataset.after);
  const before = () => beside(main.dataset.before);
  const arrow = (dx, dy, otherwise) => () => { if (!stage.pan(dx, dy)) otherwise(); };
  return {
    a: approve, " ": toggle, k: make_keeper, n: different, R: reject, u: take_back_mark, j: next, J: before, f: full, Enter: full,
    d: () => mode("difference"), b: () => mode("blink"), s: () => mode("slider"),
    "+": () => stage.zoom_by(1.5), "=": () => stage.zoom_by(1.5), "-": () => stage.zoom_by(1 / 1.5), 0: () => stage.zoom_all(), 1: () => stage.zoom_full(),
    ArrowLeft: arrow(-1, 0, () => step(-1)), ArrowRight: arrow(1, 0, () => step(1)), ArrowUp: arrow(0, -1, before), ArrowDown: arrow(0, 1, next),
    Escape: () => { if (main.classList.contains("full")) full(); else show(up); },
  };
}
