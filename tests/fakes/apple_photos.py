"""Twins of what dedupd uses for Apple's Photos: osxphotos as a program, photoscript as a module, Photos as a set of albums.

The program does what osxphotos 0.77 does as far as dedupd relies on it: --update by its own database, a report that grows
by each photo, `_edited` and `.mov` beside the original, names that are taken, `query` without what lies in the bin.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.programs import python_program

PROGRAM = r"""import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[2:]
library = json.loads(Path(os.environ["FAKE_PHOTOS"]).read_text())
Path(os.environ["FAKE_PHOTOS"]).with_name("asked.jsonl").open("a").write(json.dumps(sys.argv[1:]) + "\n")

def option(name):
    return words[words.index(name) + 1] if name in words else None

if sys.argv[1] == "query":
    asked = Path(option("--uuid-from-file")).read_text().split()
    print("\n".join(p["uuid"] for p in library["photos"] if p["uuid"] in asked and not p["in_bin"]))
    sys.exit(0)

assert sys.argv[1] == "export" and "--update" in words and option("--directory") == "{{created.year}}/{{created.mm}}"
if library["refuses"]:
    print(library["refuses"], file=sys.stderr)
    sys.exit(1)
destination = Path(words[0])
database = destination / ".osxphotos_export.db"
known = json.loads(database.read_text()) if database.exists() else {{}}
skipped = set(Path(option("--skip-uuid-from-file")).read_text().split())
report = open(option("--report"), "w")
report.write("[")
photos = [p for p in library["photos"] if not p["in_bin"] and p["uuid"] not in skipped]
print("Exporting", len(photos), "photos to", str(destination) + "...", flush=True)
first = True

def tell(path, uuid, **what):
    global first
    record = dict(datetime="", filename=str(path), exported=False, new=False, updated=False, skipped=False,
                  missing=False, error="", aae_written=False, aae_skipped=False)
    if not library["old"]:
        record["uuid"] = uuid
    report.write(("" if first else ",\n") + json.dumps(record | what, indent=4))
    first = False

def free(path, uuid):
    for number in range(1000):
        taken = path if number == 0 else path.with_name("%s (%d)%s" % (path.stem, number, path.suffix))
        owner = known.get(str(taken.relative_to(destination)), [None])[0]
        if owner == uuid or (owner is None and not taken.exists()):
            return taken, " (%d)" % number if number else ""

def put(path, uuid, bytes_):
    name = str(path.relative_to(destination))
    path.parent.mkdir(parents=True, exist_ok=True)
    there = [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else None
    if name in known and known[name][1:] == [there, bytes_]:
        return tell(path, uuid, skipped=True)
    updated = there is not None
    path.write_bytes(bytes.fromhex(bytes_))
    os.utime(path, ns=(10**18, 10**18))
    known[name] = [uuid, [path.stat().st_size, path.stat().st_mtime_ns], bytes_]
    tell(path, uuid, exported=True, new=not updated, updated=updated)

def stop(*_):
    print("Aborted!", file=sys.stderr, flush=True)
    sys.exit(1)

signal.signal(signal.SIGINT, stop)
for number, photo in enumerate(photos, 1):
    print("Exporting %s (x.heic) (%d/%d)" % (photo["name"], number, len(photos)), flush=True)
    if number - 1 == library["killed_after"]:
        report.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    while number - 1 == library["hangs_after"]:
        time.sleep(0.01)
    wanted = destination / photo["month"] / photo["name"]
    path, count = free(wanted, photo["uuid"])
    if photo["in_cloud"]:
        tell(path, photo["uuid"], missing=True)
    elif photo["error"]:
        tell(path, "", error=photo["error"])
    else:
        put(path, photo["uuid"], photo["original"])
        if photo["live"]:
            put(path.with_suffix(".mov"), photo["uuid"], photo["live"])
        if photo["edited"]:
            put(path.with_name(wanted.stem + "_edited" + count + ".jpeg"), photo["uuid"], photo["edited"])
    report.flush()
    database.write_text(json.dumps(known))
report.write("]")
print("Processed:", len(photos), "photos, exported: 0, updated: 0, skipped: 0, missing: 0, error: 0")
"""


@dataclass(kw_only=True)
class FakePhoto:
    """One photo in Photos; bytes as hex."""

    uuid: str
    name: str
    original: str
    month: str = "2024/06"
    edited: str = ""
    live: str = ""
    in_bin: bool = False
    in_cloud: bool = False
    error: str = ""


@dataclass(kw_only=True)
class FakePhotos:
    """A Photos library, the osxphotos that reads it, and the Photos that has it open."""

    at: Path
    photos: list[FakePhoto] = field(default_factory=list[FakePhoto])
    killed_after: int = -1
    hangs_after: int = -1
    refuses: str = ""
    old: bool = False
    albums: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    silent: set[str] = field(default_factory=set[str])
    """Photos that are never added, without a word."""
    refused: set[str] = field(default_factory=set[str])
    """Photos that fail."""

    @property
    def program(self) -> Path:
        return self.at / "bin" / "osxphotos"

    def add(self, name: str, content: bytes, **more: Any) -> FakePhoto:
        halves = {key: more.pop(key).hex() for key in ("edited", "live") if key in more}
        uuid = more.pop("uuid", f"{len(self.photos):08X}-0000-4000-8000-000000000000")
        photo = FakePhoto(uuid=uuid, name=name, original=content.hex(), **halves, **more)
        self.photos.append(photo)
        return photo

    def save(self) -> None:
        """What the program reads."""
        self.program.parent.mkdir(parents=True, exist_ok=True)
        python_program(self.program, PROGRAM.format())
        told = {"photos": [asdict(photo) for photo in self.photos], "killed_after": self.killed_after,
                "hangs_after": self.hangs_after, "refuses": self.refuses, "old": self.old}  # fmt: skip
        (self.at / "photos.json").write_text(json.dumps(told))

    @property
    def asked(self) -> list[list[str]]:
        """The words of every run of the program."""
        file = self.at / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def photoscript(self) -> dict[str, ModuleType]:
        """The modules that `import photoscript` finds."""
        package: Any = ModuleType("photoscript")
        loader: Any = ModuleType("photoscript.script_loader")
        photos = self

        class AppleScriptError(Exception):
            pass

        class Photo:
            def __init__(self, uuid: str) -> None:
                if uuid not in {p.uuid for p in photos.photos}:
                    raise ValueError(f"Invalid photo id: {uuid}")
                self.uuid = uuid

        class Album:
            def __init__(self, name: str) -> None:
                self.name = name

            def photos(self) -> list[Photo]:
                return [Photo(uuid) for uuid in photos.albums[self.name]]

            def add(self, wanted: Sequence[Photo]) -> list[Photo]:
                if any(p.uuid in photos.refused for p in wanted):
                    raise AppleScriptError("AppleEvent timed out. (-1712)")
                there = photos.albums[self.name]
                there += [p.uuid for p in wanted if p.uuid not in photos.silent and p.uuid not in there]
                return list(wanted)  # what was asked for, as photoscript does

        class PhotosLibrary:
            def __init__(self) -> None:
                assert loader.retry_enabled is False, "a slow answer would have Photos killed"

            def album(self, name: str) -> Album | None:
                return Album(name) if name in photos.albums else None

            def create_album(self, name: str) -> Album:
                photos.albums[name] = []
                return Album(name)

        def configure_run_script(retry_enabled: bool) -> None:
            loader.retry_enabled = retry_enabled

        loader.retry_enabled, loader.configure_run_script = True, configure_run_script
        package.AppleScriptError, package.Photo, package.PhotosLibrary = (
            AppleScriptError,
            Photo,
            PhotosLibrary,
        )
        package.script_loader = loader
        return {"photoscript": package, "photoscript.script_loader": loader}
