"""Records of one size: found again by their content, whatever a power cut left of the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.adapters.index import record_file
from dedupd.adapters.index.content_set import packed_ids
from dedupd.adapters.index.record_file import RecordFile

IDS = [f"{number:064x}" for number in (7, 3, 900, 12 << 200)]


def opened(folder: Path) -> RecordFile:
    return RecordFile(folder / "x" / "records.bin", [("value", "<f4"), ("pixels", "u1", (4,))])


def stored(folder: Path) -> RecordFile:
    file = opened(folder)
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    file.add(IDS[:2], value=np.array([1, 2], np.float32), pixels=pixels[:2])
    file.add(IDS[1:], value=np.array([9, 3, 4], np.float32), pixels=pixels[1:])
    return file


def test_each_is_found_and_the_first_one_stays(tmp_path: Path) -> None:
    stored(tmp_path)
    records, there = opened(tmp_path).get([IDS[2], "f" * 64, IDS[1], IDS[0], IDS[3]])
    assert there.tolist() == [True, False, True, True, True]
    assert records["value"].tolist() == [3, 0, 2, 1, 4]
    assert records["pixels"][0].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("lost", [1, 20, 45])
def test_a_torn_end_is_lacking_and_can_be_written_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "x" / "records.bin"
    stored(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    file = opened(tmp_path)
    assert IDS[3] in file.lacks(IDS)
    file.add(IDS, value=np.full(4, 5, np.float32), pixels=np.zeros((4, 4), np.uint8))
    assert file.get(IDS)[1].all()


def test_a_record_that_never_reached_the_disk_whole_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "x" / "records.bin"
    stored(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(bytes(whole))
    assert opened(tmp_path).get(IDS)[1].tolist() == [True, True, True, False]


def test_what_is_removed_is_gone(tmp_path: Path) -> None:
    file = stored(tmp_path)
    file.remove([IDS[0], "e" * 64])
    assert file.lacks(IDS) == [IDS[0]]
    assert file.get(IDS)[0]["value"].tolist() == [0, 2, 3, 4]


def test_its_ids_beside_it_are_believed_only_where_the_record_agrees(tmp_path: Path) -> None:
    stored(tmp_path)
    ids = tmp_path / "x" / "records.ids"
    packed = ids.read_bytes()
    ids.write_bytes(packed[32:64] + packed[:32] + packed[64:])
    assert opened(tmp_path).get(IDS)[1].tolist() == [False, False, True, True]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_ids_that_a_kill_left_out_are_read_from_the_records(tmp_path: Path, left: int) -> None:
    stored(tmp_path)
    ids = tmp_path / "x" / "records.ids"
    ids.write_bytes(ids.read_bytes()[: 32 * left + 7])
    file = opened(tmp_path)
    assert file.get(IDS)[1].all()
    file.add(["e" * 64], value=np.ones(1, np.float32), pixels=np.zeros((1, 4), np.uint8))
    assert opened(tmp_path).get([*IDS, "e" * 64])[1].all()


def test_many_additions_are_found_without_reading_the_ids_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_file, "_MOST_ADDED", 5)
    file = opened(tmp_path)
    ids = [f"{number * 977 % 101:064x}" for number in range(40)]
    for place, content in enumerate(ids):
        file.add([content], value=np.array([place], np.float32), pixels=np.zeros((1, 4), np.uint8))
    for each in (file, opened(tmp_path)):
        records, there = each.get(ids)
        assert there.all()
        assert records["value"].tolist() == list(range(40))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_asked_for_and_however_it_is_where_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = [f"{number * 40503 % 65536:04x}".rjust(64, "ab"[number % 2]) for number in range(60)]
    folder, there = tmp_path_factory.mktemp("records"), dict[str, int]()
    file = opened(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_file, "_FEW", data.draw(st.sampled_from([0, 3, 1000])))
        patch.setattr(record_file, "_TIMES", data.draw(st.integers(0, 3)))
        patch.setattr(record_file, "_MOST_ADDED", data.draw(st.sampled_from([4, 1000])))
        patch.setattr(record_file, "_ALIGNED", data.draw(st.integers(1, 9)))
        patch.setattr(record_file, "_RUNS", data.draw(st.sampled_from([2, 1000])))
        patch.setattr(record_file, "_SKIPPED", data.draw(st.integers(1, 9)))
        for number in range(data.draw(st.integers(1, 9))):
            some = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=25))
            act = data.draw(st.sampled_from(["add", "add", "remove", "get", "mapped", "more", "open"]))
            lacking = [name for name in some if name not in there]
            if act == "add":
                values = np.arange(len(some)) + 100 * number
                file.add(some, value=values.astype(np.float32), pixels=np.zeros((len(some), 4), np.uint8))
                there = dict(zip(some, map(int, values), strict=True)) | there
            elif act == "remove":
                file.remove(some)
                there = {name: value for name, value in there.items() if name not in some}
            elif act == "open":
                file = opened(folder)
            elif act == "more" and some:
                first = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=25))
                before, held = file.mapped(packed_ids(first))
                added = np.full(len(lacking), 7 + number, np.float32)
                file.add(lacking, value=added, pixels=np.zeros((len(lacking), 4), np.uint8))
                there |= dict.fromkeys(lacking, 7 + number)
                at = np.arange(len(first), len(first) + len(some))
                records, complete = file.mapped_since(before, packed_ids(some), at)
                asked = [n for n, h in zip(first, held, strict=True) if h] + some
                values = records.at(records.order[np.append(held, np.ones(len(some), bool))])["value"]
                assert complete and values.tolist() == [there[name] for name in asked]
            elif act == "mapped":
                found, held = file.mapped(packed_ids(some))
                assert held.tolist() == [name in there for name in some]
                values = found.at(found.order[held])["value"]
                assert values.tolist() == [there[name] for name in some if name in there]
            records, held = file.get(some)
            assert held.tolist() == [name in there for name in some]
            assert records["value"].tolist() == [there.get(name, 0) for name in some]


def test_places_of_a_file_that_was_written_anew_are_not_believed(tmp_path: Path) -> None:
    file = stored(tmp_path)
    before, _ = file.mapped(packed_ids(IDS[1:3]))
    opened(tmp_path).remove([IDS[0]])
    file = opened(tmp_path)
    file.add(["e" * 64], value=np.ones(1, np.float32), pixels=np.zeros((1, 4), np.uint8))
    assert not file.mapped_since(before, packed_ids(["e" * 64]), np.array([2]))[1]
