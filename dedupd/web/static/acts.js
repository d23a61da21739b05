// What a person asked for: sent in order, each done once, and taken back with `u`. Must never send more than was asked.

import { tell } from "./dialogs.js";

const KEPT = "dedupd-acts";
const TRIES = 3;

/** Every act of this tab that can be taken back, the newest last. */
const stack = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
/** Ids of groups that this tab has decided: they are not come back to. */
export const decided = new Set();
let line = Promise.resolve();
let under_way = 0;

addEventListener("beforeunload", (event) => { if (under_way) event.preventDefault(); });

function new_key() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** JSON of the API. Throws an Error with its sentence. */
export async function get(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" } }));
}

/** An act: the same key again is answered as the first time, so it may be sent again when the line breaks. */
const post = (path, body) => ask(path, { ...body, key: new_key() });

/** What may be asked twice. Throws an Error with the API's sentence. */
export async function ask(path, body) {
  const sent = JSON.stringify(body);
  for (let tries = 1; ; tries += 1) {
    try {
      const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: sent, keepalive: sent.length < 60000 });
      return await answered(response);
    } catch (error) {
      if (!(error instanceof TypeError) || tries >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * tries));
    }
  }
}

async function answered(response) {
  const said = await response.json();
  if (response.ok) return said;
  const error = new Error(said.error?.message ?? `the server said ${response.status}`);
  error.code = said.error?.code;
  throw error;
}

/** action: {label, requests: [[path, body]], groups: [ids], url}. Resolves to what was done; null when nothing was. */
export function act(action) {
  action.groups.forEach((id) => decided.add(id));
  stack.push(action);
  return queued(() => send(action));
}

/** Takes the last act back. Returns it, or null when there is none. */
export function undo() {
  const action = stack.pop();
  if (!action) return null;
  action.groups.forEach((id) => decided.delete(id));
  queued(async () => {
    const done = nothing();
    try {
      for (const [path, body] of action.undo ?? []) add(done, await post(path, body));
      tell(`taken back: ${action.label}`);
    } catch (error) {
      tell(`${action.label} could not be taken back: ${error.message}`, "bad");
    }
    keep();
    document.dispatchEvent(new CustomEvent("dedupd:acted"));
  });
  return action;
}

function queued(work) {
  under_way += 1;
  const done = line.then(work).finally(() => { under_way -= 1; });
  line = done.catch(() => {});
  return done;
}

async function send(action) {
  const done = nothing();
  let failed = null;
  try {
    for (const [path, body] of action.requests) add(done, await post(path, body));
  } catch (error) {
    failed = error;
  }
  action.undo = undoing(done, action.groups);
  if (!action.undo.length && stack.includes(action)) stack.splice(stack.indexOf(action), 1);
  keep();
  if (failed) {
    action.groups.forEach((id) => decided.delete(id));
    tell(`${action.label}: ${failed.message}`, "bad");
  } else {
    tell(done.messages[0] ?? `${action.label} · u takes it back`);
    done.messages.slice(1, 3).forEach((message) => tell(message));
  }
  document.dispatchEvent(new CustomEvent("dedupd:acted"));
  return failed ? null : done;
}

const nothing = () => ({ moved: 0, restored: 0, moves: [], batches: [], lessons: [], messages: [] });

function add(done, acted) {
  for (const key of ["moved", "restored"]) done[key] += acted[key];
  for (const key of ["moves", "batches", "lessons", "messages"]) done[key].push(...acted[key]);
}

/** First its moves, then its lessons. */
function undoing(done, groups) {
  const requests = [];
  if (done.moves.length) requests.push(["/api/undo", { moves: done.moves }]);
  if (done.batches.length) requests.push(["/api/undo", { batches: done.batches }]);
  if (done.moved && !requests.length) requests.push(...groups.map((group) => ["/api/undo", { group }]));
  if (done.lessons.length) requests.push(["/api/lessons/forget", { lessons: done.lessons }]);
  return requests;
}

function keep() {
  const small = stack.filter((action) => action.undo).slice(-50).map(({ label, groups, url, undo }) => ({ label, groups, url, undo }));
  try { sessionStorage.setItem(KEPT, JSON.stringify(small)); } catch { /* too large: this tab remembers it all the same */ }
}
