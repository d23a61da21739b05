// Every move and every lesson: put back one, many, a month; forget a lesson. Must never undo several without a question.

import { act } from "./acts.js";
import { confirmed, tell } from "./dialogs.js";
import { take_back } from "./taking_back.js";
import { follow_page } from "./months.js";
import { plural, size } from "./words.js";

export function history_page(main, signal) {
  const rows = () => [...main.querySelectorAll("tbody tr")];
  const marked = () => rows().filter((row) => row.querySelector(".mark")?.checked);
  const button = main.querySelector("#undo-marked");
  const count = () => { button.disabled = !marked().length; };

  async function put_back(found, what) {
    const bytes = found.reduce((sum, row) => sum + Number(row.dataset.size), 0);
    const lines = [`${plural(found.length, "file")}, ${size(bytes)}, ${found.length === 1 ? "comes" : "come"} back. They are not moved again unless you approve them.`];
    if (found.length > 1 && !await confirmed(`Put back ${what}?`, lines, { answer: "Put back" })) return;
    const moves = found.map((row) => Number(row.dataset.id));
    act({ label: `put back ${plural(moves.length, "file")}`, requests: [["/api/undo", { moves }]], groups: [] });
  }

  async function put_back_month(month, name) {
    if (await confirmed(`Put back all of ${name}?`, ["Every file of this month that lies in duplicates/ comes back. They are not moved again unless you approve them."], { answer: "Put back" })) {
      act({ label: `put back all of ${name}`, requests: [["/api/undo", { month }]], groups: [] });
    }
  }

  const undo_marked = () => put_back(marked(), "the marked files");
  main.addEventListener("change", count, { signal });
  main.addEventListener("click", (event) => {
    if (event.target.closest(".put-back")) put_back([event.target.closest("tr")], "this file");
  }, { signal });
  button.addEventListener("click", undo_marked, { signal });
  const month = main.querySelector("#undo-month");
  month?.addEventListener("click", () => put_back_month(month.dataset.month, month.dataset.name), { signal });
  follow_page(main, signal, ["acted", "moved"]);
  const by = (places) => () => {
    const marks = [...main.querySelectorAll(".mark")];
    const at = marks.indexOf(document.activeElement?.closest("tr")?.querySelector(".mark"));
    marks[Math.max(0, Math.min(marks.length - 1, at + places))]?.focus();
  };
  return { u: () => { if (marked().length) undo_marked(); else take_back(); }, ArrowDown: by(1), ArrowUp: by(-1) };
}

export function lessons_page(main, signal) {
  main.addEventListener("click", (event) => {
    if (!event.target.closest(".forget")) return;
    const lesson = Number(event.target.closest("tr").dataset.id);
    act({ label: "forgot a lesson", requests: [["/api/lessons/forget", { lessons: [lesson] }]], groups: [] })
      .then((done) => { if (done) tell("Forgotten: dedupd may propose it again."); });
  }, { signal });
  follow_page(main, signal, ["acted"]);
  return {};
}
