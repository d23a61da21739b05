"""Sharing disk space: what the kernel is asked, and what of its answers is believed."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

import pytest

from dedupd.adapters.fs import sharing
from dedupd.adapters.fs.sharing import BlockSharing
from dedupd.errors import MoveRefused, Refusal

CALL = struct.Struct("=QQHHIqQQiI")


class Kernel:
    """FIDEDUPERANGE as the manual page tells it: it compares, and shares up to 16 MiB at a time."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.error = 0
        self.most = 1 << 40

    def ioctl(self, source: int, request: int, argument: bytearray) -> int:
        assert request == 0xC0189436
        at, length, count, _, _, target, target_at, _, _, _ = CALL.unpack(argument)
        assert count == 1 and at == target_at and length <= 16 << 20
        assert not fcntl.fcntl(target, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR), (
            "a photo opened for writing"
        )
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.asked.append((at, length))
        same = os.pread(source, length, at) == os.pread(target, length, at)
        shared, status = (min(length, self.most), 0) if same else (0, 1)
        argument[:] = CALL.pack(at, length, count, 0, 0, target, at, shared, status, 0)
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(sharing.fcntl, "ioctl", kernel.ioctl)
    monkeypatch.setattr(sharing, "_AT_ONCE", 4)
    monkeypatch.setattr(sharing.sys, "platform", "linux")
    monkeypatch.setattr(sharing, "kind_of", lambda dev: "btrfs")
    return kernel


def share(at: Path, keep: bytes, held: bytes) -> int:
    (at / "keep").write_bytes(keep)
    (at / "held").write_bytes(held)
    return BlockSharing().share(str(at), "keep", "held")


def test_the_whole_file_piece_by_piece(tmp_path: Path, kernel: Kernel) -> None:
    assert share(tmp_path, b"0123456789", b"0123456789") == 10
    assert kernel.asked == [(0, 4), (4, 4), (8, 2)]
    kernel.asked, kernel.most = [], 3
    assert BlockSharing().share(str(tmp_path), "keep", "held") == 10
    assert kernel.asked == [(0, 4), (3, 4), (6, 4), (9, 1)]


@pytest.mark.parametrize("held", [b"0123456780", b"01234567890", b"012345678"])
def test_other_bytes_share_nothing(tmp_path: Path, kernel: Kernel, held: bytes) -> None:
    with pytest.raises(MoveRefused, match="not the same bytes") as refused:
        share(tmp_path, b"0123456789", held)
    assert refused.value.kind is Refusal.OTHER_BYTES and (tmp_path / "held").read_bytes() == held


def test_one_file_with_two_names_is_told(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / "keep").write_bytes(b"x")
    os.link(tmp_path / "keep", tmp_path / "held")
    with pytest.raises(MoveRefused, match="one and the same") as refused:
        BlockSharing().share(str(tmp_path), "keep", "held")
    assert refused.value.kind is Refusal.HARD_LINK


def test_what_is_in_the_cloud_only_is_not_read(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "in_the_cloud", lambda root, path, found: True)
    with pytest.raises(MoveRefused) as refused:
        share(tmp_path, b"x", b"x")
    assert refused.value.kind is Refusal.PLACEHOLDER and kernel.asked == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.EOPNOTSUPP, Refusal.UNABLE), (errno.ENOTTY, Refusal.UNABLE), (errno.EPERM, Refusal.NOT_ALLOWED)],
)
def test_what_the_system_says(tmp_path: Path, kernel: Kernel, code: int, kind: Refusal) -> None:
    kernel.error = code
    with pytest.raises(MoveRefused) as refused:
        share(tmp_path, b"x", b"x")
    assert refused.value.kind is kind


def test_an_answer_that_goes_no_further_ends(tmp_path: Path, kernel: Kernel) -> None:
    kernel.most = 0
    with pytest.raises(MoveRefused, match="shares no more"):
        share(tmp_path, b"x", b"x")


def test_a_file_that_is_gone(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / "keep").write_bytes(b"x")
    with pytest.raises(MoveRefused) as refused:
        BlockSharing().share(str(tmp_path), "keep", "held")
    assert refused.value.kind is Refusal.GONE


def test_where_it_cannot_be_is_said_before(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BlockSharing().problem(str(tmp_path)) == ""
    assert BlockSharing().problem(str(tmp_path / "nowhere"))
    monkeypatch.setattr(sharing, "kind_of", lambda dev: "ext4")
    assert "ext4 cannot" in BlockSharing().problem(str(tmp_path))
    monkeypatch.setattr(sharing.sys, "platform", "darwin")
    assert "Linux" in BlockSharing().problem(str(tmp_path))
