// Numbers as words. Must never touch the page.

export function size(count) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (Math.abs(count) < 999.5) return `${unit === "B" || count >= 99.95 ? count.toFixed(0) : count.toFixed(1)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} TB`;
}

export const number = (count) => count.toLocaleString("en");

export const plural = (count, word, words = `${word}s`) => `${number(count)} ${count === 1 ? word : words}`;

export function duration(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const minutes = Math.round(seconds / 60);
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

const PHASES = {
  look: "Looking through folders", index: "Indexing photos", prove: "Comparing pairs", again: "Looking at earlier moves",
  annotate: "Keeping what copies know", compare: "Comparing months", group: "Grouping months", move: "Moving files",
  undo: "Putting files back",
};

export function progress(view) {
  const parts = [`${PHASES[view.phase] ?? view.phase} ${number(view.done)}${view.total ? ` of ${number(view.total)}` : ""}`];
  if (view.rate > 0) parts.push(`${view.rate >= 10 ? view.rate.toFixed(0) : view.rate.toFixed(1)}/s`);
  if (view.eta !== null) parts.push(`${duration(view.eta)} left`);
  return parts.join(" · ");
}

/** Why nothing is done that a person waits for. */
export function resting(status) {
  if (!status.paused && status.waits) return `waits: ${status.waits}`;
  if (!status.paused && status.works_off_look_alikes)
    return `works off look-alikes: ${number(status.look_alikes_left)} left`;
  if (!status.paused) return "idle";
  if (status.paused_until === null) return "paused";
  const end = new Date(status.paused_until * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const time = `${two(end.getHours())}:${two(end.getMinutes())}`;
  const day = `${end.getFullYear()}-${two(end.getMonth() + 1)}-${two(end.getDate())}`;
  return `paused until ${end.toDateString() === new Date().toDateString() ? time : `${day} ${time}`}`;
}
