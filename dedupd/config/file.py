"""Reads config.toml, naming every problem at once, and writes it as a documented example.

Owns the words of every complaint about a setting. Must never read another file, and never write one.
"""

from __future__ import annotations

import json
import math
import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from stat import S_ISFIFO
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from dedupd.config.places import Places, absolute
from dedupd.config.settings import (
    Embedding,
    EmbeddingMode,
    EmbeddingProtocol,
    KeepPolicy,
    Metadata,
    Pacing,
    Schedule,
    Settings,
    TierAction,
    Tiers,
    Web,
)
from dedupd.errors import ConfigError


class _Wrong(Exception):
    """What is wrong with one value, worded to follow its key: 'must be ...'."""


Reader = Callable[[Any], Any]


def _choice(allowed: Any) -> Reader:
    words: tuple[str, ...] = get_args(allowed)

    def read(value: Any) -> str:
        if value in words:
            return cast("str", value)
        listed = ", ".join(f'"{word}"' for word in words)
        raise _Wrong(f"must be one of {listed}, not {_shown(value)}{_nearest(value, words)}")

    return read


def _amount(low: float, high: float, *, whole: bool = False) -> Reader:
    def read(value: Any) -> float:
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if fits and low <= value <= high and math.isfinite(value):
            return value if whole else float(value)
        kind = "a whole number" if whole else "a number"
        raise _Wrong(f"must be {kind} from {low:g} to {high:g}, not {_shown(value)}")

    return read


def _cores(value: Any) -> int:
    """0 for "auto"."""
    if value == "auto":
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 256:
        return value
    raise _Wrong(f'must be "auto" or a whole number from 0 to 256, not {_shown(value)}')


def _text(pattern: str, meaning: str) -> Reader:
    def read(value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        words = re.findall(r'"([^"<]+)"', meaning)
        raise _Wrong(f"must be {meaning}, not {_shown(value)}{_nearest(value, words)}")

    return read


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _Wrong(f"must be true or false, not {_shown(value)}")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(
        isinstance(item, str) and item for item in cast("list[Any]", value)
    ):
        return tuple(cast("list[str]", value))
    raise _Wrong(f'must be a list of texts, like ["*.gif", "Screenshots"], not {_shown(value)}')


def _folders(value: Any) -> tuple[Path, ...]:
    if isinstance(value, str | Path) or not isinstance(value, list | tuple):
        raise _Wrong(f'must be a list of folders, like ["~/Pictures"], not {_shown(value)}')
    return tuple(_folder(item) for item in cast("list[Any]", value))


def _folder(value: Any) -> Path:
    """The absolute path of a folder without symlinks, so that one folder has one name."""
    if not (isinstance(value, str | Path) and str(value)) or "\0" in str(value):
        raise _Wrong(f"must be a list of folders, not of {_shown(value)}")
    try:
        path = Path(value).expanduser()
        if path.is_absolute():
            return path.resolve()
    except (RuntimeError, OSError) as error:
        raise _Wrong(f"cannot follow {_shown(value)}: {error}") from error
    raise _Wrong(f"must name whole paths, beginning with / or ~, not {_shown(value)}")


_ADDRESS = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
)


def _addresses(value: Any) -> tuple[str, ...]:
    """A list of addresses, given as one text or as a list."""
    given = (value,) if isinstance(value, str) else value
    if isinstance(given, list | tuple) and all(
        isinstance(each, str) and _ADDRESS.fullmatch(each) and _port_of(each)
        for each in cast("list[Any]", given)
    ):
        return tuple(cast("list[str]", given))
    raise _Wrong(f'must be addresses like ["http://192.168.1.9:8766"], not {_shown(value)}')


def _port_of(address: str) -> bool:
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False


def _file(value: Any) -> str:
    if value == "":
        return ""
    if isinstance(value, str) and "\0" not in value and (value.startswith(("/", "~/"))):
        return str(Path(value).expanduser())
    raise _Wrong(f"must be the whole path of a file, beginning with / or ~/, not {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(value: Any, words: Sequence[str]) -> str:
    near = get_close_matches(str(value).lower(), words, n=1) if isinstance(value, str) else []
    return f'; did you mean "{near[0]}"?' if near else ""


_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    key: str
    """'threshold', or 'tiers.exact' for a key of a table."""
    read: Reader
    """Converts the value from TOML into the field's; raises _Wrong."""
    note: str
    """The comment above it in the example."""


_OPTIONS = (
    _Option(key="roots", read=_folders, note="The folders to keep free of duplicates."),
    _Option(
        key="keep_policy",
        read=_choice(KeepPolicy),
        note="Which photo of a group stays: best (whole, original, most pixels, ...), oldest, newest, largest, "
        "smallest or lexi (first by name).",
    ),
    _Option(
        key="threshold",
        read=_amount(0.01, 1.0),
        note="Cosine similarity above which pairs are shown for review, 0.01 to 1; unset: what the embedder was "
        "calibrated to. It never widens what moves by itself.",
    ),
    _Option(
        key="embedder",
        read=_text(
            r"[a-z]\w*(:\S.*)?",
            'a name of `dedupd models`, such as "auto", "lite0" or "timm:<name>.<tag>"',
        ),
        note="What sees likeness: auto, hashes (none), lite0, open_clip:ViT-B-32/laion2b_s34b_b79k, "
        "timm:NAME.TAG, or a checkpoint of your own as open_clip:NAME@/path or timm:NAME@/path.",
    ),
    _Option(key="batch_size", read=_amount(1, 1024, whole=True), note="Photos the embedder takes at once."),
    _Option(
        key="jobs",
        read=_cores,
        note='Cores that read photos; 0 or "auto": half of them in the background, all for a scan that you start. More than 4 read in '
        "processes of their own, 60 MB each, as far as there is memory for them. cores in [speed] is the same setting.",
    ),
    _Option(
        key="gpus",
        read=_text("all|[0-9]{1,3}", '"all", or a number in quotes such as "0" or "1"'),
        note='Graphics cards the embedder may use: "all", or a number; "0": none.',
    ),
    _Option(
        key="gpu_memory_fraction",
        read=_amount(0.05, 1.0),
        note="How much of a card's memory it may take, 0.05 to 1.",
    ),
    _Option(
        key="gpu_decode",
        read=_switch,
        note="Have NVIDIA cards decode JPEGs too, as far as they give the pictures that the processor gives but for rounding; a "
        "hash may differ by a bit. Not measured on a card.",
    ),
    _Option(
        key="ignore",
        read=_texts,
        note='Files and folders not to look at, as globs below a root: "Screenshots", "*.gif".',
    ),
    _Option(
        key="ignore_defaults",
        read=_switch,
        note="Leave alone what belongs to other programs (thumbnails and caches of a NAS or photo program), recycle bins, "
        "snapshots and folders that hold a .nomedia; `dedupd status` counts them. Libraries of Photos, Lightroom and "
        "the like, and hidden folders, stay closed even with false.",
    ),
    _Option(
        key="protected",
        read=_folders,
        note="Folders below a root that nothing is ever moved from; their photos are kept first.",
    ),
    _Option(
        key="allow_shared_roots", read=_switch, note="Move photos in roots that other users can write to."
    ),
    _Option(
        key="metadata",
        read=_choice(Metadata),
        note="Where goes what moved copies know and the photo kept does not (capture date, place, rating, keywords, "
        "caption): sidecar (IMG_1.jpg.xmp beside IMG_1.jpg, which itself is never changed) or off.",
    ),
    _Option(key="tiers.exact", read=_choice(TierAction), note="The same bytes."),
    _Option(key="tiers.copy", read=_choice(TierAction), note="The same exposure, resized or saved again."),
    _Option(key="tiers.burst", read=_choice(TierAction), note="Another exposure of the same moment."),
    _Option(
        key="tiers.similar",
        read=_choice(Literal["review", "off"]),
        note="The same scene: review or off, it never moves without a person.",
    ),
    _Option(
        key="schedule.settle_seconds",
        read=_amount(0, 3600),
        note="A file must have been unchanged this long before it may move.",
    ),
    _Option(
        key="schedule.quiet_seconds",
        read=_amount(0, 3600),
        note="A changed month is clustered this long after its last change.",
    ),
    _Option(
        key="schedule.interval_minutes",
        read=_amount(1, 10080),
        note="Every so often all changed months are clustered.",
    ),
    _Option(
        key="schedule.nightly",
        read=_text(r"(?:([01][0-9]|2[0-3]):[0-5][0-9])?", 'a time like "03:00", or "" for none'),
        note='Local time of the nightly pass; "" for none.',
    ),
    _Option(
        key="schedule.reconcile_minutes",
        read=_amount(1, 10080),
        note="How often the disk is compared with the ledger.",
    ),
    _Option(
        key="schedule.worker_idle_seconds",
        read=_amount(0, 86400),
        note="The worker process leaves after this long without work.",
    ),
    _Option(
        key="speed.hours",
        read=_text(f"(?:{_TIME}-{_TIME})?", 'times like "22:00-07:00", or "" for always'),
        note="Local time in which the daemon does heavy work by itself (looking, comparing, moving). What you ask of it is "
        'done at once, and keepers are looked after always. "": at any time.',
    ),
    _Option(
        key="speed.battery",
        read=_amount(0, 100),
        note="On battery below this many per cent, heavy work waits. 0: never.",
    ),
    _Option(
        key="speed.load",
        read=_amount(0, 1000),
        note="Heavy work waits while the machine's load, divided by its cores, is above this, as 4. 0: never; it is of low "
        "priority anyway.",
    ),
    _Option(
        key="speed.disk_ms",
        read=_amount(0, 60_000),
        note="Heavy work waits while the disk of a root takes longer than this to answer, in milliseconds, as 200. 0: never. "
        "Linux, local disks.",
    ),
    _Option(
        key="speed.moves_per_minute",
        read=_amount(0, 100_000, whole=True),
        note="Files that move by themselves in a minute where a sync client (OneDrive, Dropbox, Nextcloud, ...) keeps the "
        "folder, so that it does not ask about a mass deletion. What you approve moves at once. 0: no limit.",
    ),
    _Option(
        key="web.listen",
        read=_text(
            r"(localhost|[0-9.]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}",
            'an address and a port, like "127.0.0.1:8765"',
        ),
        note="Where `dedupd web` listens; beyond this machine only with --tls-cert or --insecure-lan.",
    ),
    _Option(
        key="web.upload_files", read=_amount(1, 10_000, whole=True), note="Pictures in one upload to /images."
    ),
    _Option(key="web.upload_mb", read=_amount(1, 1_000_000, whole=True), note="Size of one upload, in MB."),
    _Option(
        key="web.sets_mb",
        read=_amount(1, 10_000_000, whole=True),
        note="Size of all uploads together, in MB.",
    ),
    _Option(key="web.sets_minutes", read=_amount(1, 10_080), note="An upload is forgotten after this long."),
    _Option(
        key="embedding.mode",
        read=_choice(EmbeddingMode),
        note="Where photos are embedded: local; remote, by the services at url alone; auto, by them, and here while none "
        "answers. Only small pictures travel, never a path or a name.",
    ),
    _Option(
        key="embedding.url",
        read=_addresses,
        note='One or several `dedupd serve-embed`, as ["http://192.168.1.9:8766"].',
    ),
    _Option(key="embedding.token_file", read=_file, note="File with the token that the services ask for."),
    _Option(key="embedding.ca_file", read=_file, note="Certificates (PEM) to trust for https."),
    _Option(
        key="embedding.protocol",
        read=_choice(EmbeddingProtocol),
        note="What the services speak: dedupd; or, for Triton with what `dedupd models export` wrote, kserve-http or "
        "kserve-grpc (needs dedupd[triton]).",
    ),
)
_LARGEST = 1 << 20
"""Size of a config.toml, at most, in bytes."""
_BY_KEY = {option.key: option for option in _OPTIONS}
_ALSO_CALLED = {"speed.cores": "jobs"}
_TABLES = ("tiers", "schedule", "speed", "web", "embedding")
_FLAGS = {"embedder": "--model", "embedding.mode": "--embedding"}
"""Command-line options whose name is not --KEY."""


def load(
    path: Path | None,
    where: Places | None = None,
    *,
    roots: Sequence[str | Path] = (),
    offline_ok: bool = False,
    **changes: Any,
) -> Settings:
    """Defaults, then config.toml, then `roots` (if any) and `changes`, fields of Settings; None: not given.

    The file is `path`, which must exist, else the one of `where`, which may not. No root may lie in or hold the
    state folder of `where`. `offline_ok`: all roots may be missing, as when their disk is not mounted yet.
    Raises ConfigError that names every problem at once.
    """
    file = path or (where.config if where else None)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in _flat(_toml(file, must_exist=path is not None) if file else {}):
        known = _ALSO_CALLED.get(key, key)
        if known in values:
            problems.append(f"{file}: jobs and speed.cores are one setting: remove one of them")
        elif known in _BY_KEY:
            problems += _take(values, known, value, f"{file}: {key}")
        else:
            problems.append(f"{file}: {_unknown(key)}")
    if roots:
        problems += _take(values, "roots", [absolute(Path(root)) for root in roots], "ROOT")
    tables = {table: changes.pop(table) for table in _TABLES if table in changes}
    for key, value in changes.items():
        if value is not None:
            problems += _take(values, key, value, _FLAGS.get(key, f"--{key.replace('_', '-')}"))
    if values.get("embedding.mode", "local") != "local" and not values.get("embedding.url"):
        problems.append(
            f'{file}: embedding.mode = "{values["embedding.mode"]}" needs embedding.url: name a service there'
        )
    if not problems:
        told = _root_problems(values, where.state if where else None, offline_ok)
        problems += [f"{'ROOT' if roots else file}: {sentence}" for sentence in told]
    if problems:
        many = "the settings cannot be followed:"
        raise ConfigError(problems[0] if len(problems) == 1 else "\n  ".join([many, *problems]))
    return replace(_settings(values, file), **tables)


def check(changes: Mapping[str, Any], path: Path) -> None:
    """Check key -> value against the file at `path`. Raises ConfigError when `load` would refuse one of them."""
    problems = [
        problem
        for key, value in changes.items()
        for problem in (
            _take({}, key, value, f"{path}: {key}") if key in _BY_KEY else [f"{path}: {_unknown(key)}"]
        )
    ]
    if problems:
        raise ConfigError("\n  ".join(problems))


def _settings(values: dict[str, Any], path: Path | None) -> Settings:
    tables: dict[str, dict[str, Any]] = {table: {} for table in ("", *_TABLES)}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        tables[table][name] = value
    return Settings(
        **tables[""], tiers=Tiers(**tables["tiers"]), schedule=Schedule(**tables["schedule"]), web=Web(**tables["web"]),
        speed=Pacing(**tables["speed"]),
        embedding=Embedding(**tables["embedding"]), source=path,
    )  # fmt: skip


def _toml(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(path))
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(f"there is no file {path}; `dedupd init` writes one") from error
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error.reason}): save it with that encoding") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def text_of(path: Path) -> str:
    """The text of a config.toml, without the byte order mark that some editors write. Never waits.

    Raises ConfigError for a pipe or an endless file, OSError, UnicodeDecodeError.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path} is a pipe, and settings are read again and again: name a file")
        raw = file.read(_LARGEST + 1) or b""
    if len(raw) > _LARGEST:
        raise ConfigError(f"{path} is larger than any settings are: name the config.toml itself")
    return raw.decode("utf-8-sig")


def _flat(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys with the names of their tables: 'tiers.exact'. A table in the place of a value, and the reverse,
    stay as they are."""
    for key, value in table.items():
        if key in _TABLES and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in cast("dict[str, Any]", value).items())
        else:
            yield key, value


def _unknown(key: str) -> str:
    if key in _TABLES:
        return f"{key} must be a table: write [{key}] on a line of its own, and its keys below"
    name = key.rpartition(".")[2]
    by_name = {known.rpartition(".")[2]: known for known in _BY_KEY}
    near = [by_name[name]] if name in by_name else get_close_matches(key, [*_BY_KEY, *_TABLES], n=1)
    near = near or [by_name[word] for word in get_close_matches(name, by_name, n=1)]
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_BY_KEY)}"
    return f"there is no setting {key}; {hint}"


def _take(values: dict[str, Any], key: str, value: Any, where: str) -> list[str]:
    try:
        values[key] = _BY_KEY[key].read(value)
    except _Wrong as wrong:
        return [f"{where} {wrong}"]
    return []


def _root_problems(values: dict[str, Any], state: Path | None, offline_ok: bool) -> Iterator[str]:
    roots: tuple[Path, ...] = values.get("roots", ())
    home = Path.home().resolve()
    state = state.resolve() if state else None
    for root in roots:
        if root == Path(root.anchor):
            yield f"{root} is the whole disk; name the folder your photos are in"
        elif root == home:
            yield f"{root} is your home folder; name the folder your photos are in, like {home / 'Pictures'}"
        elif state and (_inside(root, state) or _inside(state, root)):
            yield f"the root {root} and dedupd's own folder {state} must lie apart; move one of them"
        elif root.exists() and not root.is_dir():
            yield f"the root {root} is not a folder"
    yield from _overlaps(roots)
    if roots and not offline_ok and not any(root.exists() for root in roots):
        yield f"there is no folder {', '.join(map(str, roots))}; check the spelling, or is the disk not mounted?"
    for folder in values.get("protected", ()):
        above = [root for root in roots if root == folder or root in folder.parents]
        if above and above[0].exists() and not folder.exists():
            yield f"the protected folder {folder} does not exist; check the spelling"


def _overlaps(roots: Sequence[Path]) -> Iterator[str]:
    """One sentence for each root that contains others on the same disk, or that is named twice."""
    below: dict[Path, list[Path]] = {}
    for number, root in enumerate(roots):
        if root in roots[:number]:
            yield f"the root {root} is named twice; name it once"
            continue
        above = [other for other in roots if other != root and _holds(other, root)]
        above = [other for other in above if not _inside(other, root) or roots.index(other) < number]
        if above:
            below.setdefault(min(above, key=lambda other: len(other.parts)), []).append(root)
    for upper, lower in below.items():
        yield f"the roots {upper} and {', '.join(map(str, lower))} overlap; name only {upper}"


def _holds(outer: Path, inner: Path) -> bool:
    """Whether `inner` is inside `outer` on the same disk: False when a disk is, or may be, mounted there."""
    return _inside(inner, outer) and (_inside(outer, inner) or not _mounted_in(outer, inner))


def _mounted_in(outer: Path, inner: Path) -> bool:
    """True for another device, and for an empty or missing folder where a disk may be mounted later."""
    try:
        if inner.stat().st_dev != outer.stat().st_dev:
            return True
        with os.scandir(inner) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _inside(path: Path, folder: Path) -> bool:
    """True when `path` is `folder` or below it, by name or because the disk says that it is the same folder."""
    above = (path, *path.parents)
    if folder in above:
        return True
    try:
        there = folder.stat()
    except OSError:
        return False
    return any(_same(parent, there) for parent in above)


def _same(path: Path, stat: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), stat)
    except OSError:
        return False


def example_config(roots: Sequence[Path] = ()) -> str:
    """The text of a config.toml with `roots`, and every other key as a comment with its meaning and default."""
    lines = ["# dedupd's settings. Take away the # before a key to change it; shown are the defaults.", ""]
    settings = Settings()
    for option in _OPTIONS:
        table, _, name = option.key.rpartition(".")
        if table and f"[{table}]" not in lines:
            lines += [f"[{table}]", ""]
        lines += textwrap.wrap(option.note, 100, initial_indent="# ", subsequent_indent="# ")
        default = getattr(getattr(settings, table) if table else settings, name)
        if option.key == "roots":
            lines += [f"roots = {_toml_value([str(root) for root in roots])}", ""]
        else:
            lines += [f"#{name} = {_toml_value(0.95 if default is None else default)}", ""]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    """A value in TOML. JSON is valid TOML for texts, lists, numbers and booleans, except for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
