// `u`: the last act of this tab taken back. Must never take back what another tab or person did.

import { undo } from "./acts.js";
import { tell } from "./dialogs.js";
import { show } from "./paging.js";

/** Takes the last act back, and shows its group again. */
export function take_back() {
  const undone = undo();
  if (!undone) tell("Nothing was done here that could be taken back; the history has what was moved.");
  else if (undone.action.url && location.pathname.startsWith("/groups/")) undone.done.then(() => show(undone.action.url));
}
