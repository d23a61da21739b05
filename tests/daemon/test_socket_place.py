"""A client finds the daemon's socket whatever its own runtime folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dedupd.config import Places, places
from dedupd.daemon.socket_place import record_socket
from dedupd.errors import StateError


def test_a_client_with_another_runtime_folder_finds_the_socket(tmp_path: Path) -> None:
    served = Places(state=tmp_path, config=tmp_path / "c", socket=Path("/run/user/1/dedupd/dedupd.sock"))
    for _ in range(2):
        record_socket(served)
        assert places(tmp_path).socket == served.socket
    assert [path.name for path in tmp_path.iterdir()] == ["socket-path"]


def test_a_state_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        record_socket(places(tmp_path / "missing"))
