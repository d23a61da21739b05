// Telling and asking. Must never say yes by a key that was meant for something else.

const told = document.getElementById("told");
const dialog = document.getElementById("ask");
const [title, body, word, typed, input, yes] = ["title", "body", "word", "typed", "input", "yes"].map((name) =>
  document.getElementById(`ask-${name}`));
const MOST = 4;

/** One sentence at the foot of the page; a bad one stays until it is clicked. */
export function tell(sentence, kind = "") {
  const line = document.createElement("p");
  line.textContent = sentence;
  line.className = kind;
  line.addEventListener("click", () => line.remove());
  told.append(line);
  while (told.children.length > MOST) told.firstChild.remove();
  setTimeout(() => line.remove(), kind === "bad" ? 20000 : 5000);
}

/** True when the person said yes. `lines`: text, or one element. `typing`: only when this word was typed. */
export function confirmed(question, lines, { answer = "Yes", typing = "" } = {}) {
  title.textContent = question;
  body.replaceChildren(...lines.map((line) => {
    if (line instanceof Node) return line;
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    return paragraph;
  }));
  yes.textContent = answer;
  word.hidden = !typing;
  typed.textContent = typing;
  input.value = "";
  const right = () => !typing || input.value.trim().toLowerCase() === typing;
  yes.disabled = !right();
  input.oninput = () => { yes.disabled = !right(); };
  input.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (right()) dialog.close("yes");
  };
  dialog.returnValue = "";
  dialog.showModal();
  (typing ? input : yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" && right()), { once: true });
  });
}
