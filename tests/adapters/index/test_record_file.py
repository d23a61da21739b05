"""Records of one size: found again by their content, whatever a power cut left of the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dedupd.adapters.index import record_file
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
