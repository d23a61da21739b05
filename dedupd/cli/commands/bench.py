"""`dedupd bench`: one table of what dedupd finds on a labelled gallery, and how long it takes. `bench speed`
and `bench scale` measure speed."""

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
    from dedupd.bench.scale import Scale
    from dedupd.bench.speed import Speed

_SPEED, _SCALE = Path("speed"), Path("scale")
"""The words for these two; a folder of that name must be given as ./speed or ./scale."""


def add(commands: Commands) -> None:
    """The options of `dedupd bench`."""
    parser = add_command(
        commands,
        "bench",
        run,
        help="measure dedupd on a labelled gallery: what it finds, what it would move wrongly, how long it takes; "
        "with 'speed', on photos as large as a camera's beside the naive way; with 'scale', the search of a large library",
        example="dedupd bench ~/labelled --truth ~/labelled/truth.json\n  dedupd bench speed\n  dedupd bench speed --card\n"
        "  dedupd bench scale --photos 100000",
    )
    parser.add_argument(
        "gallery", nargs="?", type=Path, metavar="FOLDER|speed|scale",
        help="a labelled gallery (default: one it paints itself); or the word speed: time and memory of a first scan; or "
        "scale: CPU time and memory of the search for candidates among rows that it makes up, and of an import of small files",
    )  # fmt: skip
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="labels (default: truth.json beside the folder)"
    )
    parser.add_argument(
        "--photos",
        type=parse_positive,
        help="size of what it makes (default: 30; for speed 300, for scale 100000)",
    )
    parser.add_argument(
        "--megapixels", type=_parse_megapixels, default=12.0, help="of each photo, for speed (default: 12)"
    )
    parser.add_argument(
        "--card", action="store_true",
        help="for speed: photos read in a second with graphics cards and by the cores alone, ViT-B-32 with random weights",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=parse_positive, default=3, help="for speed and scale: medians of so many (default: 3)"
    )
    parser.add_argument(
        "--import", dest="import_files", type=_parse_files, default=2000, metavar="N",
        help="for scale: files that it paints and has the real daemon import, by hundreds (default: 2000; 0: none)",
    )  # fmt: skip
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when a file would move wrongly."""
    if arguments.card and arguments.gallery != _SPEED:
        raise UsageError("--card goes with speed: dedupd bench speed --card")
    if arguments.gallery == _SPEED:
        return _card(arguments) if arguments.card else _speed(arguments)
    if arguments.gallery == _SCALE:
        return _scale(arguments)
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
            str(arguments.photos or 30),
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


def _speed(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from dedupd.bench import speed

    with progress_bar(quiet=arguments.json) as progress:
        found = speed.measure(arguments.photos or 300, arguments.megapixels, arguments.runs, progress)
    if arguments.json:
        answer_json(asdict(found))
    else:
        _print_speed(found)
    return int(ExitCode.OK)


def _print_speed(found: Speed) -> None:
    answer(
        f"{found.photos} photos of {found.megapixels:g} Mpixel, a first scan in a fresh state; median of {found.runs}"
    )
    answer(found.machine)
    rows = [
        ("photos a second", "photos_per_s"), ("times the naive way", "ratio_to_naive"), ("CPU ms a photo read", "read_ms"),
        (f"CPU ms a pair ({found.pairs})", "pair_ms"), ("CPU seconds", "cpu_s"), ("of it the kernel's", "system_share"),
        ("MB at most", "peak_mb"), ("naive: seconds", "naive_s"), ("naive: CPU seconds", "naive_cpu_s"),
    ]  # fmt: skip
    for title, name in rows:
        spread = found.spread[name]
        answer(f"{title:<24}{getattr(found, name):>10.2f}   {spread.least:.2f} to {spread.greatest:.2f}")
    answer(f"naive way               {found.naive}")
    for tool, seconds in found.peers.items():
        answer(f"{tool:<24}{seconds:>10.2f} s")


def _card(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from dedupd.bench import card

    with progress_bar(quiet=arguments.json) as progress:
        found = card.measure(arguments.photos or 512, arguments.megapixels, arguments.runs, progress)
    if arguments.json:
        answer_json(asdict(found))
        return int(ExitCode.OK)
    answer(
        f"{found.photos} photos of {found.megapixels:g} Mpixel read, photos a second; median of {found.runs}"
    )
    answer(found.machine)
    answer(found.engine)
    for title, name in (
        ("cards decode too", "cards_decoding"),
        ("with graphics cards", "with_cards"),
        ("the cores alone", "cores_alone"),
    ):
        if (value := getattr(found, name)) is None:
            answer(f"{title:<24}{'-':>10}   no card is here")
        else:
            spread = found.spread[name]
            answer(f"{title:<24}{value:>10.1f}   {spread.least:.1f} to {spread.greatest:.1f}")
    return int(ExitCode.OK)


def _scale(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from dedupd.bench import scale

    with progress_bar(quiet=arguments.json) as progress:
        found = scale.measure(arguments.photos or 100_000, arguments.runs, arguments.import_files, progress)
    if arguments.json:
        answer_json(asdict(found))
    else:
        _print_scale(found)
    return int(ExitCode.OK)


def _print_scale(found: Scale) -> None:
    answer(
        f"{found.photos} made-up photos, the search for candidates across the library; median of {found.runs}"
    )
    answer(found.machine)
    answer(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    rows = [
        ("CPU seconds, all photos", "candidates_cpu_s"), ("of them to get ready", "ready_cpu_s"),
        ("CPU ms for one photo", "one_photo_ms"),
        ("the same, undated", "one_undated_ms"),
    ]  # fmt: skip
    for title, name in rows:
        spread = found.spread[name]
        answer(f"{title:<24}{getattr(found, name):>10.2f}   {spread.least:.2f} to {spread.greatest:.2f}")
    answer(f"{'MB at most':<24}{found.search_mb:>10.2f}")
    answer(f"{'candidates':<24}{found.pairs:>10}")
    if found.searched < found.photos:
        answer(
            f"{found.searched} photos were searched for, and their CPU time is scaled up to all {found.photos}"
        )
    if found.imported:
        rates = " ".join(f"{rate:.0f}" for rate in found.import_photos_per_s)
        spent = " ".join(f"{each:.0f}" for each in found.import_cpu_ms)
        answer(f"{found.imported} painted files imported by the daemon; photos a second by tenth: {rates}")
        answer(
            f"CPU ms a photo by tenth: {spent}; killed in the middle: {found.import_again} photos read again"
        )
        answer(
            f"settled after {found.import_s:.0f} s, {found.import_moved} moved; a hundred more after "
            f"{found.import_new_s:.0f} s; MB at most: daemon {found.daemon_mb:.0f}, worker {found.worker_mb:.0f}"
        )


def _parse_files(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of files: give 0 or more, such as 2000")
    return value


def _parse_megapixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 200:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size of a photo: give megapixels from 0.1 to 200, such as 12"
        )
    return value


def _print_others(found: Measurement) -> None:
    """Print what other tools find, and what would happen if each of their groups were followed."""
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
