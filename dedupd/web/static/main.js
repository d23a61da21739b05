// Starts what each page needs; owns the keys. Must never take a key that a field, a dialog or the browser wants.

import { compare } from "./compare.js";
import { tell } from "./dialogs.js";
import { groups } from "./groups.js";
import { history_page, lessons_page } from "./history.js";
import { follow } from "./live.js";
import { follow_page, months } from "./months.js";
import { each_page, show } from "./paging.js";
import { settings } from "./settings.js";
import { take_back } from "./taking_back.js";

/** What is not here, or not now, may come: a group that is grouped again, a daemon that starts. */
const problem = (page, signal) => { follow_page(page, signal); return {}; };
const PAGES = { months, groups, compare, history: history_page, lessons: lessons_page, settings, problem };
/** key -> what it does on this page. */
let keys = {};
let main = null;

document.documentElement.classList.add("scripted");

each_page((page, signal) => {
  main = page;
  keys = PAGES[page.dataset.page]?.(page, signal) ?? {};
  for (const link of document.querySelectorAll(".top nav a")) {
    const here = link.pathname === "/" ? ["months", "groups", "compare"].includes(page.dataset.page) : location.pathname.startsWith(link.pathname);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const top = document.querySelector(".top");
  document.documentElement.style.setProperty("--top", `${top.offsetHeight}px`);
});
follow();

const help = () => {
  const dialog = document.getElementById("help");
  if (dialog && !dialog.open) dialog.showModal();
};

const EVERYWHERE = {
  "?": help,
  u: take_back,
  h: () => show("/history"),
  l: () => show("/lessons"),
  ",": () => show("/settings"),
  Escape: () => { if (main.dataset.up) show(main.dataset.up); },
};

document.getElementById("help-button").addEventListener("click", help);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const at = event.target;
  if (at.matches("input, select, textarea")) {
    if (event.key === "Escape") at.blur();
    else if (!at.matches("[type=checkbox], [type=range]") || event.key === " " || event.key.startsWith("Arrow")) return;
    if (event.key === "Escape") return;
  }
  if ((event.key === " " || event.key === "Enter") && at.closest("button, a, summary, label")) return;
  if (event.key.startsWith("Arrow") && at.closest(".reasons, .scroll, .files") && at !== document.body) return;
  const wanted = keys[event.key] ?? EVERYWHERE[event.key];
  if (!wanted) return;
  if (event.repeat && !event.key.startsWith("Arrow") && !"+-".includes(event.key)) {
    event.preventDefault(); // a key that is held decides once
    return;
  }
  event.preventDefault();
  wanted(event);
});

document.addEventListener("dedupd:attention", ({ detail }) => tell(detail.message));
