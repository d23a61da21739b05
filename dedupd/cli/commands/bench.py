"""`dedupd bench`: one table of what dedupd finds on a labelled gallery, and how long it takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json, progress_bar
from dedupd.cli.options import Commands, add_command, add_json, parse_positive
from dedupd.errors import DedupdError, ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.bench.measure import Measurement


def add(commands: Commands) -> None:
    """What `dedupd bench` takes."""
    parser = add_command(
        commands,
        "bench",
        run,
        help="measure dedupd on a labelled gallery: what it finds, what it would move wrongly, how long it takes",
        example="dedupd bench ~/labelled --truth ~/labelled/truth.json",
    )
    parser.add_argument(
        "gallery", nargs="?", type=Path, metavar="FOLDER", help="default: a gallery it paints itself"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="labels (default: truth.json beside the folder)"
    )
    parser.add_argument(
        "--photos", type=parse_positive, default=30, help="size of the painted gallery (default: 30)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when a file would move wrongly."""
    import tempfile
    from dataclasses import asdict

    from dedupd.bench.measure import measure

    with tempfile.TemporaryDirectory(prefix="dedupd-gallery-") as temporary:
        folder, truth = _gallery(arguments, Path(temporary))
        with progress_bar(quiet=arguments.json) as progress:
            found = measure(folder, truth, progress)
    if arguments.json:
        answer_json(asdict(found))
    else:
        _print(found)
    return int(ExitCode.FAILED if found.score.wrong or found.score.torn_units else ExitCode.OK)


def _gallery(arguments: argparse.Namespace, temporary: Path) -> tuple[Path, Path]:
    import subprocess

    if arguments.gallery is None:
        folder, truth = temporary / "Pictures", temporary / "Pictures" / "truth.json"
        command = [
            sys.executable,
            "-m",
            "dedupd.bench.gallery",
            str(folder),
            "--photos",
            str(arguments.photos),
        ]
        done = subprocess.run([*command, "--truth", str(truth)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise DedupdError(
                f"the gallery could not be painted: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
            )
        return folder, truth
    folder = arguments.gallery.expanduser().absolute()
    places = [arguments.truth] if arguments.truth else [folder / "truth.json", folder.parent / "truth.json"]
    for truth in places:
        if truth.exists():
            return folder, truth.absolute()
    raise UsageError(f"no labels for {folder}: put a truth.json there, or name one with --truth")


def _print(found: Measurement) -> None:
    from dedupd.bench.score import DUPLICATES
    from dedupd.core.summary import visible

    score = found.score
    answer(
        f"{found.photos} photos, {found.skipped} left alone, model {found.model or 'none: perceptual hashes alone'}"
    )
    answer(f"{'relation':<12}{'labelled':>9}{'moved':>8}{'found':>8}")
    for relation in DUPLICATES:
        if score.of[relation]:
            answer(
                f"{relation:<12}{score.of[relation]:>9}{score.moved[relation]:>8}{score.found[relation]:>8}"
            )
    total = sum(score.of.values())
    if total:
        moved, seen = sum(score.moved.values()), sum(score.found.values())
        answer(
            f"{'all':<12}{total:>9}{moved:>8}{seen:>8}   {100 * moved / total:.1f} % moved, {100 * seen / total:.1f} % found"
        )
    answer(f"wrong moves {len(score.wrong)}, torn units {score.torn_units}, lesser copies kept {score.lesser_kept}, "
           f"unrelated pairs in review {len(score.unrelated_in_review)}")  # fmt: skip
    for moved_path, kept in score.wrong[:20]:
        answer(f"    wrong: {visible(moved_path)} beside {visible(kept)}")
    _print_others(found)
    answer("seconds     " + ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in found.phases.items()))
    answer(f"again       {found.again:.2f} s with nothing new")


def _print_others(found: Measurement) -> None:
    """Beside what others would do when each of their groups is followed."""
    if not found.others:
        return
    total = sum(found.score.of.values())
    ours = ("dedupd", found.score, sum(found.phases.values()), "")
    answer(
        f"{'tool':<18}{'moved right':>12}{'of labelled':>13}{'moved wrong':>13}{'lesser kept':>13}{'seconds':>9}"
    )
    for tool, score, seconds, failed in [
        ours,
        *((o.tool, o.score, o.seconds, o.failed) for o in found.others),
    ]:
        if failed:
            answer(f"{tool:<18}did not work: {failed[:80]}")
            continue
        moved = sum(score.moved.values())
        share = f"{100 * moved / total:.1f} %" if total else "-"
        answer(
            f"{tool:<18}{moved:>12}{share:>13}{len(score.wrong):>13}{score.lesser_kept:>13}{seconds:>9.1f}"
        )
