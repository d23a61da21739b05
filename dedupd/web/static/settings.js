// Trying settings: what they would change is counted by the daemon. Must never change one.

import { ask } from "./acts.js";
import { number } from "./words.js";

const COUNT_AFTER = 250;
const WORDS = [["more_moves", "would move too"], ["fewer_moves", "would not move any more"],
  ["other_keepers", "would move beside another keeper"], ["contradicts", "would stay although you called them duplicates"]];

export function settings(main, signal) {
  const form = main.querySelector("#settings");
  const effect = main.querySelector("#effect");
  let waits = 0;
  let asked = 0;

  function tried() {
    const found = { body: {}, lines: [] };
    for (const field of form.querySelectorAll("select, input")) {
      const changed = field.value !== field.dataset.now && field.validity.valid;
      field.classList.toggle("tried", changed);
      if (!changed) continue;
      if (field.dataset.tier) {
        found.body.tiers = { ...found.body.tiers, [field.dataset.tier]: field.value };
        found.lines.push(`tiers.${field.dataset.tier} = "${field.value}"`);
      } else if (field.id === "threshold" && field.value) {
        found.body.threshold = Number(field.value);
        found.lines.push(`threshold = ${field.value}`);
      } else if (field.id === "keep-policy") {
        found.body.keep_policy = field.value;
        found.lines.push(`keep_policy = "${field.value}"`);
      }
    }
    return found;
  }

  async function count() {
    asked += 1;
    const mine = asked;
    const { body, lines } = tried();
    if (!lines.length) {
      say(["Nothing else is tried."]);
      return;
    }
    say(["counting …"]);
    try {
      const found = await ask("/api/tune", body);
      if (mine === asked && !signal.aborted) show(found, lines);
    } catch (error) {
      if (mine === asked) say([error.message]);
    }
  }

  function say(parts) {
    effect.replaceChildren(effect.firstElementChild, ...parts.map((part) => {
      if (part instanceof Node) return part;
      const line = document.createElement("p");
      line.textContent = part;
      return line;
    }));
  }

  function show(found, lines) {
    const table = document.createElement("table");
    table.className = "effect";
    const row = (...cells) => {
      const line = table.insertRow();
      cells.forEach((cell) => { line.insertCell().textContent = cell; });
    };
    row("files", "now", "then");
    row("move by themselves", number(found.moves_now), number(found.moves_then));
    row("wait for you", number(found.review_now), number(found.review_then));
    for (const [key, words] of WORDS) if (found[key]) row(words, "", number(found[key]));
    const code = document.createElement("code");
    code.textContent = lines.join("   ");
    const how = document.createElement("p");
    how.append("To keep it, write into config.toml: ", code, ". The running daemon follows it within seconds.");
    say([table, how]);
  }

  form.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(count, COUNT_AFTER); }, { signal });
  form.addEventListener("submit", (event) => event.preventDefault(), { signal });
  signal.addEventListener("abort", () => clearTimeout(waits));
  return {};
}
