// The marks on the pictures of one group until they are sent, as in the terminal's reviewer (tui/model/decisions.py).
// Must never send more than the marks on the screen say.

import { plural } from "./words.js";

export const UNCOMPARED = "may hold more, as it was never compared with this keeper";

/** The group of /api/groups/{id} as marks know it. */
export function known(detail) {
  const { group } = detail;
  const photos = detail.photos.map((photo) => {
    const proof = group.evidence[photo.path];
    return { ...photo, name: photo.path.split("/").pop(), relation: proof?.relation ?? "", only_here: proof?.only_here ?? [], only_in_keeper: proof?.only_in_keeper ?? [] };
  });
  return { id: group.id, version: group.version, left_out: group.left_out, photos };
}

export class Marks {
  constructor(group) {
    this.group = group;
    this.photos = new Map(group.photos.map((photo) => [photo.file, photo]));
    this.keeper = (group.photos.find((photo) => photo.role === "keeper") ?? group.photos[0]).file;
    this.proposed = this.keeper;
    this.marks = new Map(group.photos.filter((photo) => photo.file !== this.keeper).map((photo) => [photo.file, proposal(photo)]));
    this.steps = [];
  }

  get untouched() { return this.steps.length === 0; }

  /** Something of it has moved already: its keeper can no longer change. */
  get settled() { return this.group.photos.some((photo) => photo.role === "moved"); }

  mark(file) { return file === this.keeper ? "keeper" : this.marks.get(file); }

  toggle(file) {
    if (file === this.keeper) return false;
    const photo = this.photos.get(file);
    const usual = proposal(photo);
    this.#remember();
    this.marks.set(file, this.marks.get(file) !== usual ? usual : usual === "keep" ? "move" : "keep");
    return true;
  }

  toggle_different(file) {
    if (file === this.keeper) return false;
    this.#remember();
    this.marks.set(file, this.marks.get(file) === "different" ? proposal(this.photos.get(file)) : "different");
    return true;
  }

  make_keeper(file) {
    if (file === this.keeper || this.settled) return false;
    this.#remember();
    this.marks.delete(file);
    this.marks.set(this.keeper, "move");
    this.keeper = file;
    return true;
  }

  undo() {
    if (!this.steps.length) return false;
    [this.keeper, this.marks] = this.steps.pop();
    return true;
  }

  /** What this picture holds that the keeper, as marked, lacks. */
  lost(file) {
    const mine = this.photos.get(file);
    const keeper = this.photos.get(this.keeper);
    if (this.keeper === this.proposed || keeper.relation === "exact") return mine.only_here;
    if (file === this.proposed || mine.relation === "exact") return keeper.only_in_keeper;
    return [UNCOMPARED];
  }

  losses() {
    return this.marked("move").map((file) => [this.photos.get(file), this.lost(file)]).filter(([, lost]) => lost.length);
  }

  marked(mark) { return [...this.marks].filter(([, its]) => its === mark).map(([file]) => file); }

  freed() { return this.marked("move").reduce((sum, file) => sum + this.photos.get(file).size, 0); }

  /** [[path, body]] of the JSON API; empty when the marks change nothing. */
  requests() {
    if (this.settled) return this.#corrections();
    const { id, version, left_out } = this.group;
    const all = (mark) => this.marks.size > 0 && [...this.marks.values()].every((its) => its === mark);
    // Members that are not shown have no mark: approving or rejecting the whole group would decide about them too.
    if (this.keeper === this.proposed && !left_out) {
      if (all("move")) return [[`/api/groups/${id}/approve`, { version }]];
      if (all("different")) return [[`/api/groups/${id}/reject`, { version }]];
    }
    const keeper = this.keeper === this.proposed ? {} : { keeper: this.keeper };
    return [[`/api/groups/${id}/judge`, { version, ...keeper, move: this.marked("move"), different: this.marked("different"), keep: this.marked("keep") }]];
  }

  /** Undo some moves, call some different, move what still waited. */
  #corrections() {
    const { id, version } = this.group;
    const moved = (file) => this.photos.get(file).role === "moved";
    const back = this.marked("keep").filter(moved).map((file) => this.photos.get(file).move).filter((move) => move !== null);
    const different = this.marked("different");
    const move = this.marked("move").filter((file) => !moved(file));
    const keep = this.marked("keep").filter((file) => !moved(file));
    const requests = [];
    // First: an undo gives the group a new version, and the request names the version that the person saw.
    if (different.length || move.length || keep.length) requests.push([`/api/groups/${id}/judge`, { version, move, different, keep }]);
    if (back.length) requests.push(["/api/undo", { moves: back }]);
    return requests;
  }

  summary() {
    const kept = this.marked("keep");
    const back = kept.filter((file) => this.photos.get(file).role === "moved").length;
    const counts = [["move", this.marked("move").length, (n) => `move ${n}`], ["back", back, (n) => `bring ${n} back`],
      ["stay", kept.length - back, (n) => `${n} ${n === 1 ? "stays" : "stay"}`], ["different", this.marked("different").length, (n) => `${n} not ${plural(n, "duplicate").split(" ")[1]}`]];
    return counts.filter(([, count]) => count).map(([, count, words]) => words(count)).join(", ") || "nothing to do";
  }

  #remember() { this.steps.push([this.keeper, new Map(this.marks)]); }
}

/** What dedupd proposes: a picture that is only similar stays, every other relation moves. */
function proposal(photo) {
  if (photo.role === "moved") return "moved";
  return photo.role === "review" && photo.relation === "similar" ? "keep" : "move";
}
