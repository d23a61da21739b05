"""`dedupd backfill` and `dedupd adopt`: what they say, and the exit code of each end."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dedupd.adapters.ledger import Ledger
from dedupd.adapters.stores.backfill_records import ChunkRecord, PairRecord, RefusedPicture
from dedupd.adapters.vision.client import VisionWorker
from dedupd.bulk import chunk_worker, pool
from dedupd.bulk.chunk_worker import Orders
from dedupd.bulk.plan import Chunk, ModelAndRecipe, Strip
from dedupd.cli.main import main
from dedupd.core.adoption import Adoption
from dedupd.errors import VisionError
from dedupd.pipeline.forget import ADOPTED_AT
from dedupd.ports import VisionStatus


class Seer:
    """Sees all but one: a picture without a name is none."""

    embedders: ClassVar[list[str]] = []
    orders: Orders
    fails = False

    def __init__(self, orders: Orders) -> None:
        Seer.embedders.append(orders.embedder)
        Seer.orders = orders

    def model_and_recipe(self) -> ModelAndRecipe:
        return ModelAndRecipe(model="m/1", recipe="1")

    def process(self, chunk: Chunk) -> ChunkRecord:
        if Seer.fails:
            raise VisionError("the vision worker does not start")
        odd = [RefusedPicture(name=os.fsdecode(name), reason="odd") for name in chunk.names if b"odd" in name]
        rows = len(chunk.names) - len(odd)
        return ChunkRecord(
            key=chunk.key, model="m/1", recipe="1", inputs=len(chunk.names), twins=0, refused=odd, file="",
            digest="", contents="".join(f"{n:064x}" for n in range(rows)),
        )  # fmt: skip

    def pair(self, strip: Strip) -> PairRecord:
        if Seer.fails:
            raise VisionError("the vision worker does not start")
        return PairRecord(
            key=strip.key, left=strip.number, rights=strip.numbers, file="f", digest="d", size=0, pairs=3
        )

    def rest(self) -> None: ...


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (pool, chunk_worker):
        monkeypatch.setattr(module, "ChunkWorker", Seer)
    monkeypatch.setattr(Seer, "embedders", [])
    (tmp_path / "archive").mkdir()
    for name in ("a.jpg", "b.jpg", "odd.jpg"):
        (tmp_path / "archive" / name).write_bytes(b"x")
    return tmp_path


def said(folder: Path, *words: str) -> int:
    places = ["--state-dir", str(folder / "state"), "--config", str(folder / "config.toml")]
    (folder / "config.toml").touch()
    return main([*places, *words])


def fill(archive: Path, *more: str) -> int:
    return said(archive, "backfill", str(archive / "archive"), "--to", str(archive / "rows"), *more)


def test_a_backfill_says_what_became_of_each_picture(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fill(archive) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "refused: odd.jpg: odd",
        "3 picture(s): 2 row(s), 0 twin(s) of these, 1 refused; 3 seen now",
    ]
    assert Seer.embedders == ["auto", "m/1"], "what 'auto' means is settled once, for every machine"
    assert fill(archive, "--json", "--model", "lite0") == 0
    assert json.loads(capsys.readouterr().out) == {
        "inputs": 3, "rows": 2, "twins": 0, "refused": [{"path": "odd.jpg", "reason": "odd"}], "missing": 0,
        "seen_now": 0, "model": "m/1", "recipe": "1", "problems": [],
    }  # fmt: skip
    assert Seer.embedders[2] == "lite0"


@pytest.mark.parametrize(("set_", "told"), [("0", "0"), ("3", "1")])
def test_a_backfill_takes_of_cards_what_its_owner_allows(archive: Path, set_: str, told: str) -> None:
    (archive / "config.toml").write_text(f'gpus = "{set_}"\ngpu_memory_fraction = 0.5\n')
    assert fill(archive, "--workers", "1") == 0
    assert (Seer.orders.gpus, Seer.orders.gpu_memory_fraction) == (told, 0.5)


def test_rows_are_compared_when_all_of_them_are_there(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fill(archive) == 0
    (record,) = (archive / "rows/commits").iterdir()
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b'"chunks":[]', b'"chunks":[{"file":"c","digest":"d","rows":2}]'))
    monkeypatch.setattr("dedupd.bulk.backfill._commit", lambda *_: None)  # its chunk has no file here
    bars = list[ModelAndRecipe]()
    monkeypatch.setattr("dedupd.cli.commands.backfill._bar", lambda settings, places, eyes: bars.append(eyes))
    capsys.readouterr()
    assert fill(archive, "--pairs", "--json", "--model", "lite0") == 0
    assert json.loads(capsys.readouterr().out)["near"] == {"rows": 2, "pairs": 3, "strips": 1, "missing": 0}
    for each in (archive / "rows/pair-records").iterdir():
        each.unlink()
    monkeypatch.setattr(Seer, "fails", True)
    assert fill(archive, "--pairs") == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-2:] == [
        "2 row(s) compared with each other: 0 pair(s) may be near; 0 of 1 part(s) compared now",
        "1 part(s) are not compared: run the same command again",
    ]
    assert "note: the vision worker does not start" in told.err


def test_what_is_not_done_ends_with_1_and_says_why(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Seer, "fails", True)
    assert fill(archive) == 1
    told = capsys.readouterr()
    assert "3 picture(s) are not done: run the same command again" in told.out
    assert "note: the vision worker does not start" in told.err


def test_what_cannot_be_meant_is_said_before_anything_is_made(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for more, why in (
        (["--address", "auto"], "say --engine ray too"),
        (["--engine", "ray"], "pip install 'dedupd[distributed]'"),
        (["--to", str(archive / "archive/rows")], "lies under the source"),
    ):
        assert fill(archive, *more) == 2
        assert why in capsys.readouterr().err
    assert not (archive / "rows").exists()


def test_an_adoption_says_what_came_in_and_ends_with_1_when_rows_were_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    found = Adoption(
        taken=5,
        held=2,
        refused={"no content id": 3},
        damaged=["rows/x: damaged"],
        damaged_files=1,
        strangers=["clip (recipe 1)"],
    )

    def adopt(worker: VisionWorker, place: str, on_progress: Any) -> Adoption:
        asked.append(place)
        return found

    status = VisionStatus(model="m/1", recipe="1", calibrated=True)
    monkeypatch.setattr(VisionWorker, "status", lambda worker: status)
    monkeypatch.setattr(VisionWorker, "tidy", lambda worker, keep: None)
    monkeypatch.setattr(VisionWorker, "adopt", adopt)
    monkeypatch.chdir(tmp_path)
    assert said(tmp_path, "adopt", "rows") == 1
    told = capsys.readouterr()
    assert told.out == "5 row(s) taken in, 2 held already\n"
    assert told.err.splitlines() == [
        "note: rows/x: damaged",
        "1 file(s) of rows are damaged: delete them there, and run the same backfill again",
        "note: 3 row(s) refused: no content id", "left there: rows of clip (recipe 1)",
    ]  # fmt: skip
    assert asked == [str(tmp_path / "rows")]
    ledger = Ledger(tmp_path / "state/ledger.db", read_only=True)
    assert (ledger.get("embedder"), ledger.get(ADOPTED_AT) != "") == ("m/1", True)
    ledger.close()
    found = Adoption(taken=1, pairs=7)
    assert said(tmp_path, "adopt", "rows", "--json") == 0
    told_json = json.loads(capsys.readouterr().out)
    assert (told_json["taken"], told_json["pairs"], told_json["pairs_left"]) == (1, 7, "")
    assert said(tmp_path, "adopt", "rows") == 0
    assert "7 pair(s) of them may be near" in capsys.readouterr().out
    found = Adoption(taken=1, pairs_left="damaged")
    assert said(tmp_path, "adopt", "rows") == 0, "a search takes their place"
    assert "pairs there are not taken in (damaged): the next scan searches" in capsys.readouterr().err
