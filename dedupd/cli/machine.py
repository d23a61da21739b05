"""What `dedupd doctor` checks on the machine: clock, watch limits, file systems, clouds, macOS, terminal,
engine.

Must never change anything, load what sees in this process, or wait for more than some seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dedupd.cli.worker_module import last_line
from dedupd.errors import RootError

if TYPE_CHECKING:
    from dedupd.library import LibraryView

_INOTIFY = Path("/proc/sys/fs/inotify")
_SPARE = 1.2
"""Watches needed for each known folder: new folders appear, and other programs need watches too."""
_CLOCK_SECONDS = 3600.0
_REFLINKS = frozenset({"btrfs", "xfs", "apfs", "bcachefs", "zfs", "ocfs2"})
_ENGINES = ("torch", "onnxruntime", "onnxruntime-gpu")
_PIXELS = {
    "kitty": "Kitty's graphics",
    "ghostty": "Kitty's graphics",
    "foot": "Sixel",
    "wezterm": "Sixel",
    "mlterm": "Sixel",
}


class Finding(NamedTuple):
    """The result of one check."""

    what: str
    good: bool
    told: str
    mend: str = ""
    """The command, or the step, that improves it."""


def watching(folders: int, limits: Path = _INOTIFY) -> Iterator[Finding]:
    """Whether the system lets dedupd watch every folder that it knows."""
    try:
        watches = int((limits / "max_user_watches").read_text())
        instances = int((limits / "max_user_instances").read_text())
    except (OSError, ValueError):
        return  # another system, with other means
    wanted = int(folders * _SPARE)
    told = f"{folders} folder(s), up to {watches} can be watched (fs.inotify.max_user_watches), by {instances} programs (fs.inotify.max_user_instances)"
    mend = ""
    if watches < wanted:
        more = max(524_288, 1 << wanted.bit_length())
        mend = f"echo fs.inotify.max_user_watches={more} | sudo tee /etc/sysctl.d/90-inotify.conf && sudo sysctl --system"
    yield Finding(what="watching", good=not mend, told=told, mend=mend)


def clock(newest: float, now: float) -> Iterator[Finding]:
    """Whether the clock can be right. `newest`: wall clock of the last move."""
    told = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if newest > now + _CLOCK_SECONDS:
        then = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest))
        mend = (
            "set it: `sudo timedatectl set-ntp true`"
            if sys.platform == "linux"
            else "set date and time automatically"
        )
        yield Finding(
            what="clock",
            good=False,
            told=f"{told}, and files moved at {then}: it was set back, or was wrong",
            mend=mend,
        )
    else:
        yield Finding(what="clock", good=True, told=told)


def file_system(root: str) -> Iterator[Finding]:
    """What the file system of a root can do besides renaming; only looks."""
    from dedupd.adapters.clock import SystemClock
    from dedupd.adapters.fs.discarding import Discarder
    from dedupd.adapters.fs.mover import FileMover
    from dedupd.adapters.fs.probing import kind_of
    from dedupd.core.abilities import changed_elsewhere

    try:
        kind = kind_of(os.stat(root).st_dev)
    except OSError:
        return  # told of already
    told = [
        "a name in other capitals is the same file"
        if _folds_case(root)
        else "names are told apart by capitals"
    ]
    told += ["copies can share their blocks (reflink)"] if kind in _REFLINKS else []
    told += ["other machines may change it unheard"] if changed_elsewhere(kind) else []
    yield Finding(what="files", good=True, told=f"{root}{f' ({kind})' if kind else ''}: {', '.join(told)}")
    try:
        problem = Discarder(FileMover(SystemClock())).problem(root)
    except RootError as error:
        problem = str(error)
    yield Finding(what="trash", good=True, told=problem or f"{root}: `dedupd purge` finds a trash there")


def _folds_case(root: str) -> bool:
    """Whether names are case-insensitive: tried with the marker's name in capitals, or the folder's own name
    when there is no marker."""
    marker = os.path.join(root, ".dedupd-root.json")
    above, name = os.path.split(root)
    one, other = (
        (marker, os.path.join(root, ".DEDUPD-ROOT.JSON"))
        if os.path.exists(marker)
        else (root, os.path.join(above, name.swapcase()))
    )
    try:
        return one != other and os.path.samefile(one, other)
    except OSError:
        return False


def clouds(view: LibraryView) -> Iterator[Finding]:
    """Files whose bytes are in a cloud only: they are never opened, so they are neither kept nor moved."""
    from dedupd.core.photo import IN_THE_CLOUD, FileState

    cloudy = [f for f in view.ledger.files.in_state(FileState.SKIPPED) if f.reason == IN_THE_CLOUD]
    told = (
        f"{len(cloudy)} file(s) are in the cloud only, and are left alone"
        if cloudy
        else "every file seen is here"
    )
    mend = (
        "have your cloud's client keep the folder on this device, if they are to be compared"
        if cloudy
        else ""
    )
    yield Finding(what="cloud", good=True, told=told, mend=mend)


def full_disk_access(home: Path, python: str, platform: str = sys.platform) -> Iterator[Finding]:
    """macOS keeps programs out of Pictures until their owner allows access, without telling anybody."""
    if platform != "darwin":
        return
    try:
        os.listdir(home / "Library/Application Support/com.apple.TCC")
        yield Finding(what="access", good=True, told="Full Disk Access is given")
    except FileNotFoundError:
        return
    except PermissionError:
        yield Finding(
            what="access", good=False, told=f"macOS keeps {python} out of protected folders",
            mend=f"System Settings > Privacy & Security > Full Disk Access: add {python}; the pane opens by "
            "`open 'x-apple.systempreferences:com.apple.preference.security?Privacy_AllFiles'`",
        )  # fmt: skip


def terminal(env: Mapping[str, str]) -> Iterator[Finding]:
    """How this terminal shows pictures, guessed from its name; the reviewer asks the terminal itself."""
    name = " ".join((env.get("TERM", ""), env.get("TERM_PROGRAM", ""))).lower()
    way = next((way for part, way in _PIXELS.items() if part in name), "")
    yield Finding(
        what="terminal", good=True,
        told=f"shows pictures in real pixels ({way})" if way else "pictures are shown in blocks, unless it knows Sixel",
        mend="" if way else "Kitty, Ghostty, WezTerm or foot show real pixels; or `dedupd review --web`",
    )  # fmt: skip


def engine(
    devices: Path = Path("/dev"), packages: Sequence[str] = _ENGINES, platform: str = sys.platform,
    gpus: str = "all", memory: float = 0.9,
    ask: Callable[[str, Sequence[str], str], tuple[int, str]] = last_line,
) -> Iterator[Finding]:  # fmt: skip
    """What sees: by its version alone, as loading it takes seconds; where a card may be, what it says when it is loaded."""
    from importlib import metadata

    found: dict[str, str] = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    card = (devices / "nvidia0").exists() or (devices / "dxg").exists()  # the second: Linux within Windows
    bare = "+cpu" in found.get("torch", "") and "onnxruntime-gpu" not in found
    if (card and not bare) or platform == "darwin":
        status, told = ask("accelerators", [gpus, str(memory)], "it cannot be loaded")
        yield Finding(what="engine", good=not status, told=told if not status else f"{versions}: {told}")
        return
    yield Finding(
        what="engine", good=True,
        told=f"{versions}; "
        + ("an NVIDIA card is here, and this torch cannot use it" if card else "on the processor"),
        mend="pip install --force-reinstall torch" if card else "",
    )  # fmt: skip
