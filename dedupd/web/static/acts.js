// What a person asked for: sent in order, each done once, and taken back with `u`. Must never send more than was asked.

import { tell } from "./dialogs.js";
import { add, forgetting, nothing, undo_requests, would_wait } from "./undoing.js";

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

/**
 * action: {label, requests: [[path, body]], groups: [ids], before: [[state, root]], url}; before: how its groups stand, when
 * its files may wait again once they are back. Resolves to what was done; null when nothing was.
 */
export function act(action) {
  action.groups.forEach((id) => decided.add(id));
  stack.push(action);
  return queued(() => send(action));
}

/** Takes the last act back. Returns {action, done: a promise}, or null when there is none. */
export function undo() {
  const action = stack.pop();
  if (!action) return null;
  action.groups.forEach((id) => decided.delete(id));
  const done = queued(async () => {
    const back = nothing();
    try {
      for (const [path, body] of action.undo ?? []) add(back, await post(path, body));
      if (back.lessons.length) await wait_again(action.before ?? [], back.lessons);
      tell(`taken back: ${action.label}`);
    } catch (error) {
      tell(`${action.label} could not be taken back: ${error.message}`, "bad");
    }
    keep();
    document.dispatchEvent(new CustomEvent("dedupd:acted"));
  });
  return { action, done };
}

/**
 * An undo teaches the daemon that its files never move again. Where dedupd asks a person before it moves, that lesson would
 * only hide the group from review: it is forgotten, and the group waits again as before.
 */
async function wait_again(before, lessons) {
  const { root_details } = await get("/api/status"); // now: an approval from elsewhere must not move what this takes back
  const consented = new Set(root_details.filter((root) => root.consented).map((root) => root.path));
  if (would_wait(before, consented)) {
    for (const [path, body] of forgetting(lessons)) await post(path, body);
  } else if (before.some(([state]) => state === "proposed")) {
    tell("What came back stays from now on: else it would move again by itself.");
  }
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
  action.undo = undo_requests(done, action.groups);
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

function keep() {
  const small = stack.filter((action) => action.undo).slice(-50).map(({ label, groups, before, url, undo }) => ({ label, groups, before, url, undo }));
  try { sessionStorage.setItem(KEPT, JSON.stringify(small)); } catch { /* too large: this tab remembers it all the same */ }
}
