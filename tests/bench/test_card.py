"""What `bench speed --card` reads and tells; never how fast it was, and no card is needed."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dedupd.bench import card
from dedupd.cli.main import main
from dedupd.errors import DedupdError


def test_photos_of_other_bytes_and_the_same_pixels_are_read_by_the_product(tmp_path: Path) -> None:
    files = list(card.painted(tmp_path / "Pictures", 12, 0.1))
    assert len({md5(path.read_bytes(), usedforsecurity=False).digest() for path in files}) == 12
    first, again = (np.asarray(Image.open(files[number])) for number in (0, 10))
    assert np.array_equal(first, again)
    assert card.read(files, "hashes", "0", tmp_path) > 0
    files[3].write_bytes(b"no photo")
    with pytest.raises(DedupdError, match=r"000003\.jpg was not read"):
        card.read(files, "hashes", "0", tmp_path)


@pytest.mark.parametrize(("engine", "ways"), [("torch on cuda:0", ["all", "0"]), ("torch on cpu", ["0"])])
def test_with_cards_and_without_by_turns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: str, ways: list[str]
) -> None:
    asked: list[str] = []

    def read(files: list[Path], embedder: str, gpus: str, scratch: Path) -> float:
        asked.append(gpus)
        assert embedder.startswith("open_clip:ViT-B-32@")
        return {"all": 480.0, "0": 170.0}[gpus] + len(asked)

    monkeypatch.setattr(card, "read", read)
    monkeypatch.setattr(card, "_run", lambda words: engine)
    assert main(["bench", "speed", "--card", "--photos", "2", "--megapixels", "0.1", "--runs", "2"]) == 0
    assert asked == ways * 2
    told = capsys.readouterr().out
    assert engine in told
    assert ("no card is here" in told) == (ways == ["0"])
    assert main(["bench", "--card"]) == 2
