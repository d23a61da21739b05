// What takes an act back, and what waits again then, as in the terminal's reviewer (tui/model/decisions.py, Action).
// Must never touch the page.

const MANY_IDS = 20000;
const batched = (ids) => Array.from({ length: Math.ceil(ids.length / MANY_IDS) }, (_, at) => ids.slice(at * MANY_IDS, (at + 1) * MANY_IDS));

export const nothing = () => ({ moved: 0, restored: 0, moves: [], batches: [], lessons: [], messages: [] });

export function add(done, acted) {
  for (const key of ["moved", "restored"]) done[key] += acted[key];
  for (const key of ["moves", "batches", "lessons", "messages"]) done[key].push(...acted[key]);
}

/** [[path, body]] that takes back what was done: first its moves, then its lessons. */
export function undo_requests(done, groups) {
  const requests = batched(done.moves).map((moves) => ["/api/undo", { moves }]);
  if (done.batches.length) requests.push(["/api/undo", { batches: done.batches }]);
  if (done.moved && !requests.length) requests.push(...groups.map((group) => ["/api/undo", { group }]));
  return [...requests, ...forgetting(done.lessons)];
}

export const forgetting = (lessons) => batched(lessons).map((ids) => ["/api/lessons/forget", { lessons: ids }]);

/** Whether all of its groups, as they stood before ([state, root] each way once), would wait for a person. consented: roots that move by themselves. */
export const would_wait = (before, consented) =>
  before.length > 0 && before.every(([state, root]) => state === "review" || (state === "proposed" && !consented.has(root)));
