"""The mutation check: take away any fsync, check or flag of the move protocol, and a test turns red.

Each line names the code taken away and the test that notices. A line whose code is not found any more
fails too: then the protocol has changed, and the list has to follow.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

import pytest

REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

FILES, HOLDING, BENEATH = "adapters/fs/mover.py", "adapters/fs/move_checks.py", "adapters/fs/safe_paths.py"
RENAMING = "adapters/fs/renaming.py"
PROBING = "adapters/fs/test_probing.py::"
RECEIPTS, JOURNAL, RELOCATE = "adapters/fs/receipts.py", "adapters/ledger/journal.py", "pipeline/relocate.py"
REFUSALS, MOVES = "adapters/fs/test_mover_refusals.py::", "adapters/fs/test_mover_moves.py::"
DURABILITY, PIPELINE, FAULTS = (
    "adapters/fs/test_mover_durability.py::",
    "pipeline/test_relocate.py::",
    "crash/test_faults.py::",
)


ORDERS, NARROW = "pipeline/test_move_orders.py::", "pipeline/test_narrow.py::"
LOOKING, RECONCILE = "adapters/fs/walk.py", "pipeline/reconcile.py"
FOREIGN, LOOKS = "pipeline/test_foreign_folders.py::", "adapters/fs/test_walk.py::"
SIDECARS, ANNOTATE = "adapters/fs/sidecar_files.py", "pipeline/test_annotate.py::"
FUZZ = "adapters/fs/test_receipts_fuzz.py::"
DISCARDING, TRASH, PURGE = "adapters/fs/discarding.py", "adapters/fs/trash.py", "pipeline/purge.py"
PURGES, TRASHES = "pipeline/test_purge.py::", "adapters/fs/test_trash.py::"
SHARING, SHARES = "adapters/fs/sharing.py", "adapters/fs/test_sharing.py::"
CHANGES = "pipeline/test_held_changes.py::"
APPLE, ALBUM, PHOTOS = "core/apple_photos.py", "pipeline/photos_album.py", "cli/test_photos.py::"


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `code` (found exactly once) in `file`; `test` must then fail."""

    name: str
    file: str
    code: str
    instead: str
    test: str


def drop(name: str, file: str, code: str, test: str, instead: str = "pass") -> Mutation:
    return Mutation(name, file, code, instead, test)


MUTATIONS = [
    # what is proven before a move
    drop("root id", HOLDING, "if order.root_id and marker_of(root) != order.root_id:", REFUSALS + "test_another_disk_at_the_roots_path", "if False:"),
    drop("no content, no match", HOLDING, "if not order.content or not order.keeper_content:", REFUSALS + "test_no_recorded_content_is_no_match", "if False:"),
    drop("exact is exact", HOLDING, 'if order.primary and order.relation == "exact" and order.content != order.keeper_content:', REFUSALS + "test_exact_means_the_same_bytes", "if False:"),
    drop("held files keep nothing", HOLDING, "if is_held(order.src) or is_held(order.keeper):", REFUSALS + "test_a_held_file_keeps_nothing", "if False:"),
    drop("destination in duplicates/", HOLDING, 'elif DUPLICATES not in order.dst.split("/")[:-1]:', REFUSALS + "test_destination_outside_duplicates", "elif False:"),
    drop("not its own keeper", FILES, "if identity(file.stat) == identity(keeper.stat):", REFUSALS + "test_one_file_by_two_paths", "if False:"),
    drop("regular files only", HOLDING, "if not stat.S_ISREG(found.st_mode):", REFUSALS + "test_symbolic_link_in_its_place", "if False:"),
    drop("same inode", HOLDING, "if identity(found) != (expected.dev, expected.ino) and found.st_ctime_ns != expected.ctime_ns:", REFUSALS + "test_another_inode_with_the_same_bytes", "if False:"),
    drop("same size and mtime", HOLDING, "if (found.st_size, found.st_mtime_ns) != (expected.size, expected.mtime_ns):", REFUSALS + "test_changed_mtime", "if False:"),
    drop("no hard links", HOLDING, "    if found.st_nlink > 1:\n        raise MoveRefused(\n", REFUSALS + "test_hard_link", "    if False:\n        raise MoveRefused(\n"),
    drop("no placeholders", HOLDING, "    if in_the_cloud(root, path, found):\n        raise", REFUSALS + "test_placeholder_is_not_even_opened", "    if False:\n        raise"),
    drop("full hash", HOLDING, "if content_of(fd) != content:", REFUSALS + "test_bytes_that_differ_from_the_record", "if False:"),
    drop("lease", HOLDING, "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)", REFUSALS + "test_open_for_writing"),
    drop("settled", HOLDING, "if not timer.settled(os.fstat(fd)):", REFUSALS + "TestSettling::test_too_fresh", "if False:"),
    drop("steady clock", HOLDING, "and mono - self._steady_since >= self.seconds", REFUSALS + "TestSettling::test_a_clock_that_jumps_ahead_proves_nothing", ""),
    drop("no links on the way", BENEATH, "_NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH", REFUSALS + "test_symbolic_link_within_the_root", "_NO_XDEV | _BENEATH"),
    drop("no way out", BENEATH, 'if any(part in ("", ".", "..") for part in parts):', REFUSALS + "test_no_way_out_of_the_root", "if False:"),
    drop("root is no link", BENEATH, "os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)\n        except", REFUSALS + "test_root_gone_or_replaced_by_a_link", "os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)\n        except"),
    drop("keepers stay (P7)", RELOCATE, "elif held := journal.keeps(order.root, order.src, order.file):", REFUSALS + "TestContradictions::test_a_keeper_of_held_copies_never_moves", "elif held := []:"),
    drop("keepers by what they keep", JOURNAL, "WHERE g.keeper=:file AND +m.root=:root", "adapters/ledger/test_journal.py::test_a_keeper_is_known_whatever_its_name_is_now", "WHERE :file=-1"),
    drop("no chains", RELOCATE, "elif (order.root, order.keeper) in sources:", REFUSALS + "TestContradictions::test_no_chain_within_one_call", "elif False:"),
    drop("no mount on the way", BENEATH, "_NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH", FAULTS + "TestDisks::test_a_bind_mount_is_a_boundary", "_NO_SYMLINKS | _BENEATH"),
    drop("no move beside a lost index", "library/build.py", "ensure_complete=comparison.ensure_complete,", PIPELINE.replace("relocate", "index_loss") + "test_nothing_moves_until_the_index_is_whole", "ensure_complete=lambda stop: True,"),
    drop("no mount is walked into", BENEATH, "_NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH", FAULTS + "TestDisks::test_a_bind_mount_is_walked_around", "_NO_SYMLINKS | _BENEATH"),
    drop("protected folders", "pipeline/move_orders.py", "if protects(os.path.join(root.path, file.path)):", ORDERS + "test_nothing_leaves_a_protected_folder_even_on_a_persons_yes", "if False:"),
    drop("shared roots", "pipeline/movement.py", "if not self._settings.allow_shared_roots and self._disk.shared(root.path):", ORDERS + "test_where_others_can_write_nothing_moves_unless_it_is_allowed", "if False:"),
    drop("a person's no", "pipeline/move_orders.py", 'raise NotYet("a person said that it stays")', ORDERS + "test_a_persons_no_binds_at_the_move_whatever_was_proposed"),
    drop("companions are seen at the move", "pipeline/movement.py", "Companions(self._ledger, self._disk, root, self._roots.scope)", ORDERS + "test_a_raw_that_came_a_moment_ago_keeps_its_picture_here", "Companions(self._ledger, self._disk, root)"),
    # what is none of the library
    drop("bins are not walked into", LOOKING, "        if kind is not None:\n", LOOKS + "test_a_walk_enters_none_of_them_and_all_others", "        if False:\n"),
    drop("a layout beside", LOOKING, "self._opens(path, beside, ())", LOOKS + "test_a_walk_enters_none_of_them_and_all_others", "self._opens(path, (), ())"),
    drop("markers inside", LOOKING, "self._opens(folder, (), names)", LOOKS + "test_a_walk_enters_none_of_them_and_all_others", "self._opens(folder, (), ())"),
    drop("the way to a folder", LOOKING, "if not opens or self._respelled(path):", LOOKS + "test_folder_by_folder_the_same_is_found", "if False:"),
    drop("events go where walks go", LOOKING, "        or foreign(path, defaults=scope.defaults) is not None\n", LOOKS + "test_events_go_where_walks_go", ""),
    drop("markers are heard", "adapters/fs/watcher.py", "os.path.basename(at) in MARKERS", LOOKS + "test_a_marker_that_comes_or_goes_speaks_for_all_below", "False"),
    drop("no held copy in a bin", LOOKING, "beside, inside = (), ()", FOREIGN + "TestHeldCopies::test_a_nomedia_hides_none_from_undo"),
    drop("seen once more at the move", "pipeline/move_orders.py", 'if self._scope is not None and path not in self._in_folder(path.rpartition("/")[0])[0]:', FOREIGN + "test_a_marker_that_came_after_the_last_look_stops_the_move", "if False:"),
    drop("what was indexed leaves", RECONCILE, "                    self._forget(row)\n", FOREIGN + "TestUpgrade::test_what_was_indexed_there_leaves_at_the_first_look", ""),
    drop("only from a root that is itself", RECONCILE, "if not lacking or not _same_root(self._root, self._ledger, self._disk):", FOREIGN + "TestUpgrade::test_nothing_leaves_while_the_disk_is_pulled_out", "if not lacking:"),
    drop("what would be lost", "core/clusters.py", "if losses := self._lost(edge, node.traits, keeper):", "core/test_dominance.py::test_a_keeper_is_never_dominated_and_what_moves_loses_nothing_in_any_order", "if losses := self._lost(edge, node.traits, node.traits):"),
    drop("asked about again in a rescue", "pipeline/movement.py", "if self._lost(root, [row]):", "pipeline/test_keepers.py::test_many_come_back_a_few_at_a_time_and_each_is_asked_about_again", "if True:"),
    drop("a little larger may be enlarged", "core/dominance.py", "elif _perhaps_enlarged(mover, keeper, ratio, edge):", "core/test_dominance.py::test_a_little_larger_without_what_a_camera_writes_may_be_made_from_the_photo", "elif False:"),
    drop("settled before, and better", "pipeline/recluster.py", " or member.only_here)", "pipeline/test_held_better.py::test_what_is_held_better_and_comes_back_is_not_settled_again", ")"),
    drop("settled before, and changed", "pipeline/recluster.py", " or _changed(member)", CHANGES + "test_the_same_bytes_do_not_go_that_way_again", ""),
    drop("a changed shot is not exchanged", "adapters/ledger/held_checks.py", "            if r[8] not in changed\n", CHANGES + "test_a_yes_to_what_is_held_better_exchanges_no_changed_shot", ""),
    drop("a yes to others is none to a changed shot", "pipeline/verdicts.py", "                if not members:\n", CHANGES + "test_a_yes_to_others_of_its_group_is_no_yes_to_it", "                if True:\n"),
    drop("told of second shots that moved as copies", "core/relations.py", "(relation is Relation.BURST or shot_twice(a, b))", CHANGES + "test_a_second_shot_that_moved_as_a_copy_is_looked_at_too", "relation is Relation.BURST"),
    drop("purge: a changed shot", PURGE, "        if why := self._changed(move, measures, seen[move.content], seen[move.keeper_content]):\n", CHANGES + "TestPurge::test_a_changed_shot_stays", "        if why := '':\n"),
    drop("purge: looked at for changes", PURGE, 'return "whether something small was changed between the two was not looked at yet"', CHANGES + "TestPurge::test_a_changed_shot_stays", 'return ""'),
    # what a power cut relies on
    drop("fsync of keeper and file", HOLDING, "        sync(fd)\n", DURABILITY + "test_keeper_and_copy_are_synced_before_anything_is_promised", ""),
    drop("fsync of receipts", RECEIPTS, "        os.fsync(fd)\n", DURABILITY + "test_intent_then_receipt_then_rename", ""),
    drop("fsync of the receipts' folder", RECEIPTS, "        if new:\n            os.fsync(folder)\n", DURABILITY + "test_new_folders_and_receipts_are_synced_into_their_parents", ""),
    drop("fsync of a new folder's parent", FILES, '                    test_points.step("folder made")\n                    self.sync(fd)\n', DURABILITY + "test_new_folders_and_receipts_are_synced_into_their_parents", '                    test_points.step("folder made")\n'),
    drop("fsync of both folders", FILES, "[path for pair in self._renamed for path in pair]", DURABILITY + "test_both_folders_are_synced_before_the_move_is_done", "[]"),
    drop("fsync of the new folder only", FILES, "[path for pair in self._renamed for path in pair]", DURABILITY + "test_both_folders_are_synced_before_the_move_is_done", "[pair[0] for pair in self._renamed]"),
    drop("fsync after undo", FILES, "[path for row in back for path in (row.dst, row.undone_to)]", DURABILITY + "test_undo_is_journaled_first_and_synced_before_it_is_done", "[]"),
    drop("fsync of the link", RENAMING, "        os.fsync(b)\n", DURABILITY + "test_the_link_fallback_syncs_the_new_name_before_the_old_one_goes", ""),
    drop("completion receipt", FILES, "        self._mover.complete(self._root, ended)\n", DURABILITY + "test_completion_receipt_is_synced_before_the_move_is_done", ""),
    drop("halt after an I/O error", FILES, "if error.errno == errno.EIO:", DURABILITY + "test_after_an_io_error_nothing_moves_any_more", "if False:"),
    drop("halt after a receipt's I/O error", FILES, "with self._mover.watching(), self._root", DURABILITY + "test_a_receipt_that_cannot_be_synced_stops_the_move", "with self._root"),
    drop("an unsynced end stays open", FILES, "m.refused(why, MoveState.INTENT) if m.src in unsure else m for m in rows", DURABILITY + "test_a_folder_that_cannot_be_synced_leaves_the_end_open", "m for m in rows"),
    drop("WAL and FULL", JOURNAL, 'if mode != "wal" or level < 2:', "adapters/ledger/test_journal.py::test_a_connection_that_may_forget_is_refused", "if False:"),
    drop("intent commits by itself", JOURNAL, "        self._refuse_open_transaction()\n        with", "adapters/ledger/test_journal.py::test_an_intent_that_could_be_rolled_back_is_refused", "        with"),
    drop("undo commits by itself", JOURNAL, "        self._refuse_open_transaction()\n        self.finish", "adapters/ledger/test_journal.py::test_an_intent_that_could_be_rolled_back_is_refused", "        self.finish"),
    drop("undo is journaled first", RELOCATE, "                journal.reopen(hold.moves)\n", DURABILITY + "test_undo_is_journaled_first_and_synced_before_it_is_done", "                pass\n"),
    # the rename itself
    drop("no replacing", RENAMING, "_RENAME_NOREPLACE, _RENAME_EXCL = 1, 4", PROBING + "test_no_way_replaces_a_file", "_RENAME_NOREPLACE, _RENAME_EXCL = 0, 0"),
    drop("free names", FILES, "and self._root.lstat(name) is None", MOVES + "test_undo_beside_a_new_file_of_that_name", ""),
    drop("claim: only our own empty file", RENAMING, "        if not _ours_and_empty(claim, b, new, leased=leased):\n", PROBING + "TestClaim::test_somebody_writes_into_it", "        if False:\n"),
    drop("claim: what came meanwhile stays", RENAMING, "            if _ours_and_empty(claim, b, new, leased=leased):\n                os.unlink", PROBING + "TestClaim::test_a_rename_that_fails_takes_nothing_away_that_came_meanwhile", "            if True:\n                os.unlink"),
    drop("claim: what holds bytes stays", RENAMING, "    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_size == 0:", PROBING + "test_a_claim_that_holds_bytes_by_now_is_left", "    if True:"),
    drop("second name: of the same file", RENAMING, "identity(kept) == _identity_at(b, drop) and ", PROBING + "test_of_two_names_of_one_file_one_goes_and_nothing_else_ever", ""),
    drop("second name: not the last one", RENAMING, " and kept.st_nlink > 1:", PROBING + "test_of_two_names_of_one_file_one_goes_and_nothing_else_ever", ":"),
    drop("second name: whole", RENAMING, "                if content_of(fd) != content:", PROBING + "test_of_two_names_of_one_file_one_goes_and_nothing_else_ever", "                if False:"),
    drop("claim: nowhere else", HOLDING, "return empty and (is_held(path) or abilities(root).way is Way.CLAIM)", PIPELINE + "TestRecover::test_moved_and_a_new_file_is_begun_at_the_old_name", "return empty"),
    drop("trial: the very file", "adapters/fs/probing.py", "identity(there) == identity(before) == identity(os.fstat(fd))", PROBING + "test_a_rename_that_brings_another_file_is_not_used", "True"),
    # what comes in between two slices
    drop("chosen anew for each slice", "pipeline/movement.py", "self._as_they_are(groups)", "pipeline/test_slices.py::test_what_waits_for_a_person_since_a_moment_ago_does_not_move", "[(g, g.members) for g in groups]"),
    drop("only what still is to move", "pipeline/movement.py", '[m for m in now.members if m.role == "duplicate" and m.file in chosen]', "pipeline/test_slices.py::test_what_waits_for_a_person_since_a_moment_ago_does_not_move", "[m for m in now.members if m.file in chosen]"),
    drop("first moves as a whole", "pipeline/movement.py", "                whole\n                and (wanted", "pipeline/test_slices.py::test_moves_that_are_stopped_are_whole_and_go_on_later", "                (wanted"),
    drop("what was listed may have moved", RECONCILE, "            if self._ledger.changes != before:\n                return\n", "pipeline/test_look_in_slices.py::test_what_is_found_elsewhere_while_it_is_believed_gone_is_there", ""),
    drop("what is missing is sought once more", RECONCILE, "row.path > after and row.path not in there", "pipeline/test_look_in_slices.py::test_what_comes_back_while_it_looks_is_there", "row.path > after"),
    drop("a marker taken away is no other disk", RECONCILE, "return found.uuid == root.uuid or any(", "pipeline/test_look_in_slices.py::test_a_disk_that_is_pulled_out_in_between_costs_nothing", "return True or any("),
    drop("held copies as they are now", "pipeline/held_copies.py", "rows = [row for row in rows if disk.gone(root.path, row.path)]", "pipeline/test_look_in_slices.py::test_a_missing_copy_that_is_in_its_place_again_is_not_taken_out", "pass"),
    drop("alone means alone", "daemon/engine.py", "chosen = next((task for task in urgent if not task.alone), None)", "daemon/test_engine.py::test_what_must_be_done_alone_ends_a_pass_but_no_scan_that_somebody_waits_for", "chosen = next(iter(urgent), None)"),
    # what is forgotten, and what is read again
    drop("moves are remembered", "adapters/ledger/forgetting.py", '    "OR EXISTS (SELECT 1 FROM moves WHERE content=c.content) "\n', "pipeline/test_forgetting.py::test_what_a_verdict_or_a_move_names_is_remembered", ""),
    drop("their keepers too", "adapters/ledger/forgetting.py", '"OR EXISTS (SELECT 1 FROM moves WHERE keeper_content=c.content)"', "pipeline/test_forgetting.py::test_what_a_verdict_or_a_move_names_is_remembered", '""'),
    drop("keepers hold their bytes (P8)", "pipeline/reread.py", "        elif content == row.content:\n", "pipeline/test_reread.py::TestKeeper::test_rewritten_in_place_its_copy_comes_back", "        elif True:\n"),
    drop("servers give no events (P8)", "daemon/root_watch.py", "return watched and not (root.dev is not None and changed_elsewhere(kind_of(root.dev)))", "daemon/test_sweep.py::test_on_a_server_others_change_files_without_an_event", "return watched"),
    drop("a clock set ahead opens nothing (P12)", "pipeline/consent.py", "self._stood[1][0] <= self._clock.since_boot() - BREAKER_SECONDS", "pipeline/test_clock.py::test_a_clock_that_is_set_does_not_open_the_breaker", "True"),
    drop("link: only our own name goes", RENAMING, "        if _identity_at(a, old) == before:  # else", MOVES + "test_old_name_replaced_between_link_and_unlink", "        if True:  # else"),
    drop("file checked before the rename", FILES, 'undisturbed(self._root, item.file, move.src)', MOVES + "test_somebody_wants_to_write_while_it_is_held", "pass"),
    drop("keeper checked before the rename", FILES, '                undisturbed(self._root, item.keeper, move.keeper)\n                test_points.step("checked', MOVES + "test_somebody_wants_to_write_while_it_is_held", '                test_points.step("checked'),
    drop("file checked after", FILES, "undisturbed(self._root, item.file, move.dst)", MOVES + "test_candidate_touched_in_the_window", "pass"),
    drop("keeper checked after", FILES, '                undisturbed(self._root, item.file, move.dst)\n                undisturbed(self._root, item.keeper, move.keeper)\n', MOVES + "test_keeper_touched_in_the_window", "                undisturbed(self._root, item.file, move.dst)\n"),
    drop("keeper's name", HOLDING, "if found is None or identity(found) != identity(proven.stat):", MOVES + "test_keeper_touched_in_the_window", "if found is None:\n        return\n    if False:"),
    drop("untouched while held", HOLDING, "if not same_bytes(found, proven.stat) or not same_bytes(os.fstat(proven.fd), proven.stat):", MOVES + "test_keeper_touched_in_the_window", "if False:"),
    drop("no second name while held", HOLDING, "    if found.st_nlink > 1:\n        raise MoveRefused(f", MOVES + "test_keeper_touched_in_the_window", "    if False:\n        raise MoveRefused(f"),
    drop("lease unbroken", HOLDING, "if proven.leased and fcntl.fcntl(proven.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:", MOVES + "test_somebody_wants_to_write_while_it_is_held", "if False:"),
    drop("rolled back", FILES, "                self._rename(move.dst, move.src)\n", MOVES + "test_keeper_touched_in_the_window", "                pass\n"),
    drop("units whole", FILES, "        return _aborted(unit, why)\n", MOVES + "test_one_lost_on_the_way_and_the_others_return", "        return _aborted(unit[:1], why) + [replace(m, state=MoveState.DONE) for m in unit[1:]]\n"),
    drop("units refused whole", FILES, "batch.refused += [(order, refusal_of(error)) for order in unit]", MOVES + "test_one_refused_and_none_moves", "batch.orders += unit[:1] if unit[0].src in batch._items else []"),
    drop("receipts are plain files", RECEIPTS, "if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:", MOVES + "test_receipts_are_never_written_into_another_file", "if False:"),
    drop("receipts follow no link", RECEIPTS, "os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC", MOVES + "test_receipts_are_never_written_into_another_file", "os.O_RDWR | os.O_APPEND | os.O_CLOEXEC"),
    drop("torn lines stay alone", RECEIPTS, 'text = b"\\n" + text', MOVES + "test_a_torn_receipt_harms_no_other"),
    drop("receipts stay in their folder", RECEIPTS, 'if not intent.src.startswith(there[: -len(DUPLICATES)]):', MOVES + "test_receipts_that_point_elsewhere_are_ignored", "if False:"),
    drop("folder modes", FILES, "os.fchmod(made, mode)", MOVES + "test_new_folders_have_their_parents_mode"),
    # sidecars
    drop("sidecars replace nothing", SIDECARS, "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW", ANNOTATE + "test_a_name_taken_at_the_last_moment", "os.O_WRONLY | os.O_CREAT | os.O_TRUNC"),
    drop("sidecars beside sidecars", "pipeline/annotate.py", "if not why:\n            begun", ANNOTATE + "test_a_sidecar_that_is_there_stays_and_the_summary_tells", "if True:\n            begun"),
    drop("only our own bytes go", SIDECARS, "if found is None or not _ours(found, row.text.encode(), torn=torn):", ANNOTATE + "test_ours_is_only_what_is_byte_for_byte_ours", "if False:"),
    drop("sidecars are looked at before they go", "pipeline/annotate.py", "(p for p in places if self._store.holds(root.path, p, row.text))", ANNOTATE + "test_the_keeper_moved_by_hand_with_its_sidecar", "(p for p in places)"),
    drop("no second name of a sidecar", SIDECARS, "or found.st_nlink > 1 or", ANNOTATE + "test_what_is_no_plain_file_is_left_alone", "or"),
    drop("sidecars of this disk", SIDECARS, "if root_id and marker_of(top) != root_id:", ANNOTATE + "test_another_disk_at_the_roots_path_gets_none", "if False:"),
    drop("sidecars receipted first", SIDECARS, '                    receipts.append(fd, [receipts.sidecar(ReceiptKind.SIDECAR, row, folder)])\n', ANNOTATE + "test_with_the_ledger_gone_the_receipts_take_it_away", "                    pass\n"),
    drop("receipts of sidecars stay in their folder", RECEIPTS, 'if not receipt.path.endswith(".xmp") or not _plain(receipt.path) or is_held(receipt.path):', FUZZ + "test_no_line_lays_a_photo_aside", "if False:"),
    drop("receipts are typed", RECEIPTS, "except (msgspec.ValidationError, ValueError, OverflowError, RecursionError):", FUZZ + "test_one_odd_line_holds_up_no_other", "except ZeroDivisionError:"),
    drop("receipts name what a disk could know", RECEIPTS, "if not (_plain(intent.src) and _plain(intent.dst)) or is_held(intent.src)", FUZZ + "test_one_odd_line_holds_up_no_other", "if is_held(intent.src)"),
    drop("receipts are told apart by name", RECEIPTS, "return receipt.batch, receipt.id, name or folders", FUZZ + "test_a_line_that_takes_the_number_of_a_move_hides_it_not", "return receipt.batch, receipt.id, ''"),
    drop("by itself where a unit cannot", RELOCATE, "return [better.get(_key(row), row) for row in ended]", FUZZ + "test_one_that_cannot_come_back_holds_up_none_of_its_unit", "return ended"),
    drop("only a keeper's sidecar", "pipeline/annotate.py", 'if row.path.removesuffix(".xmp") in alone:', FUZZ + "test_a_users_own_sidecar_stays_whatever_a_line_says", "if True:"),
    drop("only the very bytes", FILES, "if os.pread(fd, len(data) + 1, 0) != data or", FUZZ + "test_a_sidecar_of_other_bytes_stays", "if"),
    drop("no half sidecar on a full disk", SIDECARS, "            _drop(fd, folder, name)\n", ANNOTATE + "test_a_disk_that_takes_no_more_leaves_nothing_half", "            pass\n"),
    drop("sidecars owed with the move", "pipeline/record_outcome.py", "ledger.sidecars.owe(file.root, move.group)", ANNOTATE + "test_what_the_copy_knows_stands_beside_the_keeper_whose_bytes_stay"),
    drop("fsync of a sidecar", SIDECARS, "            os.fsync(fd)\n            test_points.step(\"sidecar written\")", ANNOTATE + "test_a_sidecar_is_on_disk_before_it_is_told", "            test_points.step(\"sidecar written\")"),
    drop("fsync of a sidecar's folder", SIDECARS, "            os.fsync(folder)\n            test_points.step(\"sidecar synced\")", ANNOTATE + "test_a_sidecar_is_on_disk_before_it_is_told", "            test_points.step(\"sidecar synced\")"),
    drop("fsync after a sidecar went", SIDECARS, '                    test_points.step("sidecar removed")\n                    os.fsync(fd)\n', ANNOTATE + "test_a_sidecar_is_on_disk_before_it_is_told", '                    test_points.step("sidecar removed")\n'),
    drop("a sidecar is journaled first", "pipeline/annotate.py", "            self._put(begun)\n", "crash/test_kill_sidecars.py::test_a_torn_sidecar_is_made_anew", ""),
    drop("torn sidecars", "pipeline/annotate.py", 'torn=row.state == "writing")\n            row = ', "crash/test_kill_sidecars.py::test_a_torn_sidecar_is_made_anew", "torn=False)\n            row = "),
    # into the trash
    drop("purge: old enough", PURGE, "if all(m.at <= before for m in unit) and", PURGES + "TestStays::test_what_is_not_old_enough", "if"),
    drop("purge: the keeper holds all", PURGE, 'return f"it {losses[0].clause}, and its keeper does not" if losses else ""', PURGES + "TestStays::test_its_keeper_holds_less", 'return ""'),
    drop("purge: measured", PURGE, 'return "what it holds was never compared with its keeper"', PURGES + "TestStays::test_what_it_holds_was_never_measured", 'return ""'),
    drop("purge: the keeper was read", PURGE, "if move.keeper_content not in seen:", PURGES + "TestStays::test_a_keeper_that_was_never_read", "if False:"),
    drop("purge: a person's no", PURGE, 'return "a person said that it is no duplicate"', PURGES + "TestStays::test_a_persons_no", 'return ""'),
    drop("purge: not what looks alike", PURGE, 'return "it only looks alike" if move.relation == Relation.SIMILAR else ""', PURGES + "TestStays::test_what_only_looks_alike", 'return ""'),
    drop("purge: what it knows is written", PURGE, 'if row.state != "settled":', PURGES + "TestStays::test_what_it_knows_is_not_written_yet", "if False:"),
    drop("purge: the sidecar is there", PURGE, "if row is not None and row.path and self._disk.stat(root.path, row.path) is None:", PURGES + "TestStays::test_a_sidecar_that_is_gone", "if False:"),
    drop("purge: companions elsewhere", PURGE, 'return "" if stands is not None else f"no other copy of {_name(move.src)} is in the library"', PURGES + "TestStays::test_companions_that_the_library_has_nowhere_else", 'return ""'),
    drop("purge: units whole", PURGE, 'return "not all that belongs to it was named"', PURGES + "TestStays::test_no_part_of_a_unit", 'return ""'),
    drop("purge: keepers of the library", PURGE, 'return "its keeper lies in a folder that is none of the library"', PURGES + "TestStays::test_a_keeper_in_a_bin", 'return ""'),
    drop("purge: the keeper is proven", DISCARDING, "stands = self._prove(order.stands, order.stands_content, order)", PURGES + "TestStays::test_its_keeper_was_spoiled_unseen", "stands = self._prove(order.stands, content_of(os.open(os.path.join(self._root.path, order.stands), 0)), order)"),
    drop("purge: the file is proven", DISCARDING, "held = self._prove(order.move.dst, order.move.content, None)", PURGES + "TestStays::test_the_held_file_is_not_what_moved", "held = self._prove(order.move.dst, content_of(os.open(os.path.join(self._root.path, order.move.dst), 0)), None)"),
    drop("purge: keeper at the last moment", DISCARDING, "            undisturbed(self._root, stands, order.stands)\n            test_points", PURGES + "TestAtTheLastMoment::test_nothing_goes_when_the_keeper_vanished_before", "            test_points"),
    drop("purge: keeper looked at again", DISCARDING, "        undisturbed(self._root, stands, order.stands)\n\n", PURGES + "TestAtTheLastMoment::test_the_keeper_vanishes", "\n"),
    drop("purge: the very file went", DISCARDING, "if found is None or identity(found) != identity(held.stat) or not same_bytes(found, held.stat):", PURGES + "TestAtTheLastMoment::test_the_file_is_exchanged", "if False:"),
    drop("purge: receipted first", DISCARDING, "            if must:\n                raise\n", PURGES + "TestAtTheLastMoment::test_the_disk_takes_no_receipt", "            pass\n"),
    drop("purge: journaled first", PURGE, "            self._ledger.purges.intend(rows)\n", PURGES + "TestKilled::test_the_ledger_tells_the_truth", ""),
    drop("purge: recovery asks for the keeper", PURGE, "if going and whole and self._keeper_stands([m for m, _ in going]):", PURGES + "TestKilled::test_what_has_no_keeper_any_more_comes_back", "if going and whole:"),
    drop("purge: only what is held", DISCARDING, "    if not move.held or not is_held(move.dst):", TRASHES + "test_an_order_that_cannot_be_right_is_refused_whoever_made_it", "    if False:"),
    drop("purge: what is held stands for nothing", DISCARDING, "    elif is_held(order.stands):", TRASHES + "test_an_order_that_cannot_be_right_is_refused_whoever_made_it", "    elif False:"),
    drop("purge: what is a companion stands for its own bytes alone", DISCARDING, "    elif (not move.primary or move.relation == ", TRASHES + "test_an_order_that_cannot_be_right_is_refused_whoever_made_it", "    elif False and (not move.primary or move.relation == "),
    drop("purge: back only the very file", DISCARDING, "if content_of(fd) != move.content or identity(os.fstat(fd)) != identity(found):", PURGES + "TestBack::test_another_file_in_its_place_in_the_trash_is_left_there", "if False:"),
    drop("purge: a place is reserved", TRASH, "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW", PURGES + "TestAtTheLastMoment::test_the_info_name_is_taken", "os.O_WRONLY | os.O_CREAT | os.O_TRUNC"),
    drop("purge: what the desktop restored", PURGE, "        self._found_again()\n", PURGES + "TestBack::test_what_the_desktop_restored_is_put_back", ""),
    drop("trash: sticky", TRASH, "return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)", TRASHES + "test_one_that_is_not_is_passed_over", "return stat.S_ISDIR(found.st_mode)"),
    drop("trash: no link", TRASH, "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW", TRASHES + "test_no_link_and_no_file_is_a_trash", "_FOLDER = os.O_RDONLY | os.O_DIRECTORY"),
    drop("trash: nobody else's", TRASH, "    if found.st_mode & stat.S_IWOTH:", TRASHES + "test_where_others_can_write_nothing_is_kept", "    if False:"),
    drop("trash: the same disk", TRASH, "    if os.fstat(fd).st_dev != root.dev:", TRASHES + "test_on_another_disk", "    if False:"),
    drop("trash: no network drive", TRASH, "    if changed_elsewhere(kind):", TRASHES + "test_on_a_network_drive", "    if False:"),
    # recovery and undo
    drop("recovery hashes what arrived", FILES, "content_at(root, move.dst, move, trust=False)", PIPELINE + "TestRecover::test_damage_that_stat_does_not_show", "content_at(root, move.dst, move)"),
    drop("recovery asks for the keeper", RELOCATE, "and all(mover.keeper_stands(move) for move in unit)", PIPELINE + "TestRecover::test_moved_but_its_keeper_is_gone", ""),
    drop("recovery hashes the keeper", FILES, "return content_of(fd) == move.keeper_content", PIPELINE + "TestRecover::test_moved_but_its_keeper_was_edited", "return True"),
    drop("recovery knows the root", FILES, "            if not same_root(root, move):\n                return Place.UNKNOWN\n", PIPELINE + "TestRecover::test_absence_is_unknown", ""),
    drop("recovery wants whole units", RELOCATE, "if all(place is Place.DST for _, place in places) and", PIPELINE + "TestUnitsInRecovery::test_some_arrived_and_all_go_back", "if"),
    drop("both missing is an alarm", RELOCATE, "if place is Place.NOWHERE:", PIPELINE + "TestRecover::test_at_neither_place_is_an_alarm_that_names_the_content", "if False:"),
    drop("undo knows the file", HOLDING, "        return content_of(fd) == move.content", MOVES + "test_undo_of_a_file_that_is_nowhere_names_its_content", "        return True"),
    # what a narrowed scan leaves alone
    drop("only what counts moves", "pipeline/consent.py", "groups = groups if only is None else only.proposed(root, groups)", NARROW + "test_what_does_not_count_neither_moves_nor_shows"),
    drop("no excluded keeper", "pipeline/narrow.py", " and self.looks_at(keeper, root.path)", NARROW + "test_what_is_excluded_keeps_nothing", ""),
    drop("no excluded companion", "pipeline/narrow.py", "and not self._parts(root, keeper.path, file.path)", NARROW + "test_a_photo_does_not_leave_an_excluded_companion_behind", ""),
    drop("excluded pairs are compared later", "pipeline/compare.py", "self._not_met(sorted(away))", NARROW + "test_what_is_excluded_is_never_opened_and_compared_later"),
    # which held copies share their space with the photo kept
    drop("share: the whole of both", SHARING, "        if one.st_size != two.st_size:", SHARES + "test_other_bytes_share_nothing", "        if False:"),
    drop("share: what differs", SHARING, "    if status == _DIFFERS:", SHARES + "test_other_bytes_share_nothing", "    if False:"),
    drop("share: nothing of the cloud", SHARING, "if in_the_cloud(top, keep, one) or in_the_cloud(top, held, two):", SHARES + "test_what_is_in_the_cloud_only_is_not_read", "if False:"),
    drop("share: the very same bytes", "pipeline/share_space.py", "not row.move.primary or row.move.content == row.move.keeper_content", "cli/test_purge.py::test_only_the_very_same_bytes_share", "True"),
    # which photos of Apple's Photos their owner is asked to delete
    drop("album: no keeper", APPLE, "        if row.uuid in keepers:", PHOTOS + "test_a_photo_that_is_kept_elsewhere_is_not_proposed", "        if False:"),
    drop("album: Photos has the keeper", APPLE, "        elif row.keeper not in alive:", PHOTOS + "test_a_photo_whose_keeper_is_gone_from_photos_is_never_proposed", "        elif False:"),
    drop("album: the file as it was exported", APPLE, "if (f.size, f.mtime_ns) == (size, mtime_ns)]", PHOTOS + "test_a_file_that_is_not_surely_a_photo_there_is_not_proposed", "if True]"),
    drop("album: one photo alone", APPLE, "if len({f.uuid for f in found}) == 1 else None", PHOTOS + "test_a_file_that_is_not_surely_a_photo_there_is_not_proposed", "if found else None"),
    drop("album: what a purge would take", ALBUM, "    if candidate.why_not or keeper is None:", PHOTOS + "test_what_a_purge_would_not_take_is_not_proposed", "    if keeper is None:"),
    drop("album: another photo than the keeper", ALBUM, "    if kept.uuid == file.uuid:", PHOTOS + "test_two_files_of_one_photo_are_no_duplicates_there", "    if False:"),
    drop("album: the keeper is there", ALBUM, "    if there is None or (there.size, there.mtime_ns) != (keeper.stat.size, keeper.stat.mtime_ns):", PHOTOS + "test_a_keeper_that_changed_since_stands_for_nothing", "    if False:"),
    drop("album: no part stays", ALBUM, "    if (part := _part_that_stays(disk, exports, move, file)) is not None:", PHOTOS + "test_a_photo_with_a_part_that_stays_is_not_proposed", "    if False and (part := _part_that_stays(disk, exports, move, file)) is not None:"),
    drop("album: Photos is not killed", "adapters/apple/photos_app.py", "        _without_killing(loader)\n        self._script", PHOTOS + "test_moved_duplicates_go_into_the_album", "        self._script"),
    drop("export: not what was moved", "cli/commands/photos.py", "    moved = _moved(settings, places, record)\n", PHOTOS + "test_what_was_moved_is_not_exported_again", "    moved = set()\n"),
    drop("no excluded file is opened", "pipeline/compare.py", "and self._opens(f, roots[f.root].path)", NARROW + "test_what_is_excluded_is_never_opened_and_compared_later", ""),
    # which files are no copies, though they show the same
    drop("what pictures are made from", "core/formats.py", "return self.raw or self.layered", "core/test_dominance.py::test_a_raw_moves_for_nothing_but_its_own_bytes_and_nothing_unasked_for_a_raw", "return self.raw"),
    drop("a document without its picture", "adapters/vision/photoshop.py", "        if len(version) > 4 and not version[4]:", "adapters/vision/test_photoshop.py::test_what_would_be_shown_wrong_is_known_by_its_bytes", "        if False:"),
    drop("layers tell documents apart", "adapters/vision/photoshop.py", "        hasher.update(block)", "adapters/vision/test_photoshop.py::test_files_of_one_picture_differ_by_their_layers", "        pass"),
    drop("a part is not all of the first moves", "pipeline/movement.py", "and (wanted, only) == (None, None)", NARROW + "test_the_first_moves_are_not_through_when_a_part_of_them_is", ""),
]  # fmt: skip


class Mutant(SourceFileLoader, MetaPathFinder):
    """Imports one module of the package with a piece of its code taken away; all others are none of its business."""

    def __init__(self, mutation: Mutation) -> None:
        path = REPOSITORY / "dedupd" / mutation.file
        super().__init__("dedupd." + mutation.file.removesuffix(".py").replace("/", "."), str(path))
        source = path.read_text("utf-8")
        assert source.count(mutation.code) == 1, f"{mutation.file} has no one place with {mutation.code!r}"
        self.source = source.replace(mutation.code, mutation.instead)

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """Compiled here: what is kept of it on disk is of the whole code."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


def said_without(mutant: Mutant, test: str, folder: Path) -> tuple[int, str]:
    """Exit status and output of pytest in a fork of this process, which imports the package and its tests anew.

    What is not ours is imported already: that is most of what a pytest of its own would spend.
    """
    said = folder / "said"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            out = os.open(said, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
            sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
            for name in [name for name in sys.modules if name.partition(".")[0] in ("dedupd", "tests")]:
                del sys.modules[name]
            sys.meta_path.insert(0, mutant)
            code = pytest.main(
                ["-q", "-x", "--tb", "native", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-c", str(folder / "pytest.ini"),
                 "--rootdir", str(REPOSITORY), "--basetemp", str(folder / "base"), str(REPOSITORY / "tests" / test)],
            )  # fmt: skip
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text("utf-8", "replace")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.name.replace(" ", "-") for m in MUTATIONS])
def test_taken_away_and_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    if mutation.test.startswith(FAULTS) and os.geteuid() != 0:
        pytest.skip("the test that notices needs root")
    ini = "[pytest]\naddopts = --import-mode=importlib\npythonpath = {}\nmarkers =\n    crash\n"
    (tmp_path / "pytest.ini").write_text(ini.format(REPOSITORY))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    code, said = said_without(Mutant(mutation), mutation.test, tmp_path)
    assert code == 1, f"{mutation.test} did not notice (exit status {code}):\n{said[-2000:]}"
    assert " failed" in said and " error" not in said.splitlines()[-1], said[-2000:]
