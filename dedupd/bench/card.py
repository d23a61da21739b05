"""Photos read per second with graphics cards, and by the cores alone, by the product's own reading path.

Owns the runs: photos of a camera's size, ViT-B-32 with random weights (as fast as real ones), a worker that may use
the whole machine, and a new index for each run. The time to load the model does not count. Must never change a photo.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.worker_process import worker_environment
from dedupd.bench.random_weights import random_weights
from dedupd.bench.speed import Progress, Spread, machine
from dedupd.core.photo import FileStat, Unreadable
from dedupd.errors import DedupdError
from dedupd.ports import FileRequest

_PAINTED = 48
"""Photos that are painted; the others are the same with another comment in front: as slow to read, and other bytes."""
_EVERYTHING = 256
_NO_CARD, _DECODING = "0", "decoding"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSpeed:
    """Photos a second: medians, and their spread under the same names."""

    machine: str
    engine: str
    """What is here to compute on."""
    photos: int
    megapixels: float
    runs: int
    with_cards: float | None
    """Cards embed, cores decode. None: no card is here."""
    cards_decoding: float | None
    """Cards decode too, beside the cores."""
    cores_alone: float
    spread: dict[str, Spread]


def measure(photos: int, megapixels: float, runs: int, on_progress: Progress) -> CardSpeed:
    """Paint, then read with cards and without by turns. Raises DedupdError."""
    with tempfile.TemporaryDirectory(prefix="dedupd-card-") as temporary:
        folder = Path(temporary)
        on_progress("paint", 0, 1)
        model = random_weights(folder)
        files = list(painted(folder / "Pictures", photos, megapixels))
        engine = _run(["-m", "dedupd.adapters.vision.accelerators", "all", "0.9"])
        ways = [_DECODING, "all", _NO_CARD] if "cuda" in engine or "mps" in engine else [_NO_CARD]
        found: dict[str, list[float]] = {way: [] for way in ways}
        for done in range(runs):
            for way in ways:
                on_progress("the cores" if way == _NO_CARD else "cards", done, runs)
                found[way].append(read(files, model, way, folder))
    named = {
        "cards_decoding": found.get(_DECODING, []),
        "with_cards": found.get("all", []),
        "cores_alone": found[_NO_CARD],
    }
    medians = {name: round(statistics.median(each), 1) for name, each in named.items() if each}
    return CardSpeed(
        machine=machine(), engine=engine, photos=len(files), megapixels=megapixels, runs=runs,
        with_cards=medians.get("with_cards"), cards_decoding=medians.get("cards_decoding"), cores_alone=medians["cores_alone"],
        spread={n: Spread(least=round(min(e), 1), greatest=round(max(e), 1)) for n, e in named.items() if e},
    )  # fmt: skip


def painted(folder: Path, photos: int, megapixels: float) -> Iterator[Path]:
    """So many photos of different bytes."""
    paint(folder, min(photos, _PAINTED), megapixels)
    of = sorted(
        path for path in folder.rglob("*.jpg") if " (1)" not in path.name and "-small" not in path.name
    )
    for number in range(photos):
        start, rest = (data := of[number % len(of)].read_bytes())[:2], data[2:]
        path = folder / f"{number:06d}.jpg"
        path.write_bytes(start + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + rest)
        yield path


def paint(folder: Path, photos: int, megapixels: float) -> None:
    """In a process of its own: no command loads what paints."""
    size = ["--photos", str(photos), "--megapixels", str(megapixels)]
    _run(["-m", "dedupd.bench.camera", str(folder), *size])


def read(
    files: list[Path], embedder: str, way: str, scratch: Path, clock: Callable[[], float] = time.monotonic
) -> float:
    """Photos a second of one run; `way`: cards as `--gpus` counts them, or to decode with too. Raises DedupdError when one is not read."""
    requests = [_request(key, path) for key, path in enumerate(files)]
    with tempfile.TemporaryDirectory(dir=scratch) as state:
        vision = VisionWorker(
            Path(state, "index"),
            scratch / "cache",
            embedder,
            jobs=_EVERYTHING,
            waited_for=True,
            gpus="all" if way == _DECODING else way,
            gpu_decode=way == _DECODING,
        )
        try:
            vision.load()
            began = clock()
            for answer in vision.ingest(requests):
                if isinstance(answer.result, Unreadable):
                    raise DedupdError(f"{files[answer.key]} was not read: {answer.result.reason}")
            return len(files) / max(1e-9, clock() - began)
        finally:
            vision.rest()


def _request(key: int, path: Path) -> FileRequest:
    at = path.stat()
    stat = FileStat(
        size=at.st_size, mtime_ns=at.st_mtime_ns, ctime_ns=at.st_ctime_ns, dev=at.st_dev, ino=at.st_ino
    )
    return FileRequest(key=key, path=str(path), stat=stat)


def _run(words: list[str]) -> str:
    """Its last line."""
    done = subprocess.run(
        [sys.executable, "-P", *words], env=worker_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DedupdError(
            f"{words[0]} {words[1][:60].strip()} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )
    return (done.stdout.strip().splitlines() or [""])[-1]
