"""A backfill as a whole, with an engine that sees in this process: resumed, repeated, and counted to the last picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from dedupd.adapters.stores.backfill_records import ChunkRecord, RefusedPicture, commits
from dedupd.adapters.stores.store import LocalStore
from dedupd.bulk.backfill import BackfillOutcome, Engine, backfill, check_places
from dedupd.bulk.plan import Chunk, ModelAndRecipe
from dedupd.bulk.pool import FailedChunk, Finished
from dedupd.core.foreign import Scope
from dedupd.errors import DedupdError, UsageError

EYES = ModelAndRecipe(model="m", recipe="1")


class Archive:
    """A folder of files, a place for rows, and what an engine made of them."""

    def __init__(self, top: Path) -> None:
        self.source, self.to = top / "photos", top / "rows"
        self.chunks: list[list[str]] = []
        """Names, as the engine was asked."""
        for n in range(40):
            self.put(f"{n % 4}/{n:02}.jpg", f"picture {n}")

    def put(self, name: str, said: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said)

    def process(self, chunk: Chunk) -> ChunkRecord:
        """'refused …' is refused, 'passing …' for now."""
        self.chunks.append([os.fsdecode(name) for name in chunk.names])
        contents: list[str] = []
        twins, refused = 0, list[RefusedPicture]()
        for name in chunk.names:
            data = (self.source / os.fsdecode(name)).read_bytes()
            content = blake3(data).hexdigest()
            if data.startswith((b"refused", b"passing")):
                passing = data.startswith(b"passing")
                refused.append(RefusedPicture(name=os.fsdecode(name), reason="odd", passing=passing))
            elif content in contents:
                twins += 1
            else:
                contents.append(content)
        file = f"{chunk.key}-1.arrow" if contents else ""
        if file:
            LocalStore(str(self.to)).write(f"chunks/{file}", b"rows")
        return ChunkRecord(
            key=chunk.key, model="m", recipe="1", inputs=len(chunk.names), contents="".join(contents),
            twins=twins, refused=refused, file=file, digest="d", size=4 if file else 0,
        )  # fmt: skip

    def engine(self, fails: Callable[[int], bool] = lambda number: False) -> Engine:
        def run(chunks: Sequence[Chunk]) -> Iterator[Finished]:
            for number, chunk in enumerate(chunks):
                yield FailedChunk(chunk=chunk, reason="no power") if fails(number) else self.process(chunk)

        return run

    def backfill(self, engine: Engine | None = None) -> BackfillOutcome:
        self.chunks.clear()
        sources, to = [str(self.source)], str(self.to)
        return backfill(sources, to, EYES, engine or self.engine(), Scope(), size=8)

    def committed(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.to / "commits").iterdir()}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_rows_twins_and_refused_are_all_inputs(archive: Archive) -> None:
    archive.put("0/twin.jpg", "picture 0")
    archive.put("3/twin.jpg", "picture 0")  # of another chunk
    archive.put("1/odd.jpg", "refused")
    archive.put("2/.hidden.jpg", "not looked at")
    archive.put("#recycle/a.jpg", "not looked at")
    outcome = archive.backfill()
    assert (outcome.inputs, outcome.rows, outcome.twins, len(outcome.refused)) == (43, 40, 2, 1)
    assert outcome.complete and outcome.seen_now == 43
    (commit,) = commits(LocalStore(str(archive.to)))
    assert sum(file.rows for file in commit.chunks) >= 40


def test_a_second_run_sees_nothing_again_and_commits_the_same(archive: Archive) -> None:
    first = archive.backfill()
    before = archive.committed()
    second = archive.backfill()
    assert archive.chunks == [] and second.seen_now == 0
    assert (second.inputs, second.rows) == (first.inputs, first.rows)
    assert archive.committed() == before and len(before) == 1


def test_what_is_new_or_changed_is_seen_and_the_commit_has_its_old_chunks_no_more(archive: Archive) -> None:
    archive.backfill()
    before = msgspec.json.decode(next(iter(archive.committed().values())))["chunks"]
    archive.put("1/05.jpg", "another picture")
    outcome = archive.backfill()
    assert sum("1/05.jpg" in names for names in archive.chunks) == 1 == len(archive.chunks)
    assert (outcome.inputs, outcome.rows, outcome.complete) == (40, 40, True)
    after = msgspec.json.decode(next(iter(archive.committed().values())))["chunks"]
    assert len(archive.committed()) == 1 and len(after) == len(before)
    assert len({c["file"] for c in after} & {c["file"] for c in before}) == len(before) - 1


def test_a_driver_that_is_interrupted_goes_on_where_it_was(archive: Archive) -> None:
    def interrupted(chunks: Sequence[Chunk]) -> Iterator[Finished]:
        yield archive.process(chunks[0])
        yield archive.process(chunks[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.backfill(interrupted)
    done = [name for names in archive.chunks for name in names]
    assert not (archive.to / "commits").exists()
    outcome = archive.backfill()
    assert not set(done) & {name for names in archive.chunks for name in names}
    assert outcome.complete and outcome.seen_now == 40 - len(done)


def test_a_chunk_that_failed_is_missing_until_a_later_run_has_seen_it(archive: Archive) -> None:
    outcome = archive.backfill(archive.engine(lambda number: number == 1))
    assert not outcome.complete and outcome.missing > 0 and outcome.problems == ["no power"]
    assert outcome.rows == 40 - outcome.missing
    again = archive.backfill()
    assert again.complete and again.seen_now == outcome.missing and again.rows == 40


def test_when_nothing_works_any_more_it_ends_soon(archive: Archive) -> None:
    asked = list[int]()

    def fails(number: int) -> bool:
        asked.append(number)
        return True

    outcome = archive.backfill(archive.engine(fails))
    assert len(asked) == 3 and outcome.missing == outcome.inputs == 40


def test_what_was_refused_for_now_is_asked_again_and_what_is_no_picture_is_not(archive: Archive) -> None:
    archive.put("0/odd.jpg", "refused")
    archive.put("2/busy.jpg", "passing")
    archive.backfill()
    outcome = archive.backfill()
    assert ["2/busy.jpg" in names for names in archive.chunks] == [True]
    assert [each.name for each in outcome.refused] == ["0/odd.jpg", "2/busy.jpg"] and outcome.complete


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"ro")])
@pytest.mark.parametrize("of", ["chunks", "records"])
def test_a_chunk_whose_file_or_record_is_lost_is_seen_again(
    archive: Archive, of: str, spoil: Callable[[Path], None]
) -> None:
    archive.backfill()
    spoil(min((archive.to / of).iterdir()))
    assert archive.backfill().complete
    assert len(archive.chunks) == 1


def test_rows_go_to_a_place_of_their_own(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/2024").mkdir()
    with pytest.raises(DedupdError, match="holds other files"):
        backfill([str(archive.source)], str(tmp_path / "letters"), EYES, archive.engine(), Scope())
    assert sorted(os.listdir(tmp_path / "letters")) == ["2024"]
    (tmp_path / "link").symlink_to(archive.source)
    source = str(archive.source)
    for sources, to, watched, said in (
        ([source], f"{source}/rows", [], "under the source"),
        ([source], source, [], "under the source"),
        ([source], str(tmp_path / "link/rows"), [], "under the source"),
        ([source, f"{source}/1"], "/elsewhere", [], "in another source"),
        ([source], str(tmp_path / "library/rows"), [str(tmp_path / "library")], "watches"),
        ([str(tmp_path / "none")], "/elsewhere", [], "is no folder"),
        (["ftp://photos"], "/elsewhere", [], "cannot be reached"),
    ):
        with pytest.raises(UsageError, match=said):
            check_places(sources, to, watched)
    check_places([source], str(tmp_path / "rows"), [str(tmp_path / "library")])


def test_a_place_that_cannot_be_written_is_named_in_a_sentence(archive: Archive) -> None:
    archive.to.write_text("a file")
    with pytest.raises(DedupdError, match=r"rows cannot be used \(Not a directory\)"):
        archive.backfill()
