"""An embedder is one file: beside the others it is known by its name, listed, recorded, and sees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dedupd.adapters.vision import embedders
from dedupd.adapters.vision.embedders import registry
from dedupd.errors import ConfigError, UsageError
from dedupd.library import Library
from tests.support.pictures import small_gallery

TINY = """
from dedupd.adapters.vision.embedders.base import EmbedderFamily, Model, ModelListing

MODEL = Model(id="tiny/1", family="tiny")


def load(model, cache_dir):
    import numpy as np

    class Tiny:
        side, dimensions, note = 32, 48, "numpy"

        def prepare(self, image):
            return np.asarray(image.resize((4, 4)), dtype=np.float32)

        def embed(self, batch):
            flat = batch.reshape(len(batch), -1) - 127.0
            return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)

    return Tiny()


EMBEDDER = EmbedderFamily(
    name="tiny", spellings=("tiny",), parse=lambda name: MODEL if name in ("tiny", MODEL.id) else None, load=load,
    listings=lambda: [ModelListing(model=MODEL, available=True, note="sixteen colours")],
)
"""

BESIDE = """
import dedupd.adapters.vision.embedders as room
room.__path__.append({folder!r})
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, in the room of the embedders: of this process and of the worker that it starts."""
    room, site = tmp_path / "room", tmp_path / "site"
    room.mkdir()
    site.mkdir()
    (room / "tiny.py").write_text(TINY)
    (site / "sitecustomize.py").write_text(BESIDE.format(folder=os.fspath(room)))
    monkeypatch.setattr(embedders, "__path__", [*embedders.__path__, os.fspath(room)])
    monkeypatch.setenv("PYTHONPATH", os.fspath(site), prepend=os.pathsep)


@pytest.mark.usefixtures("tiny")
def test_a_file_beside_the_others_is_an_embedder(tmp_path: Path) -> None:
    assert "tiny/1" in {listing.model.id for listing in registry.list_models()}
    root = small_gallery(tmp_path / "Pictures")
    with Library.open([root], state_dir=tmp_path / "state", embedder="tiny") as library:
        report = library.scan(dry_run=True).report
    assert (report["model"], report["duplicate_groups"]) == ("tiny/1", 1)
    with pytest.raises(UsageError, match="were seen with tiny/1, not with lite0"):
        with Library.open([root], state_dir=tmp_path / "state", embedder="lite0"):
            pass


def test_a_name_of_no_embedder_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "Pictures").mkdir()
    with pytest.raises(ConfigError, match=r"^embedder 'light0' is not known.*did you mean \"lite0\"\?"):
        with Library.open([tmp_path / "Pictures"], state_dir=tmp_path / "state", embedder="light0"):
            pass
