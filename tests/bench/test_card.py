"""What `bench speed --card` reads and tells; never how fast it was, and no card is needed."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dedupd.bench import card
from dedupd.cli.main import main
from tests.support.pictures import picture, save


@pytest.fixture(autouse=True)
def small_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(folder: Path, photos: int, megapixels: float) -> None:
        for seed in range(photos - 2):
            save(folder / f"2024/01/IMG_{seed}.jpg", picture(seed, (320, 240)))
        save(folder / "2024/01/IMG_0-small.jpg", picture(0, (160, 120)))
        save(folder / "2024/01/IMG_0 (1).jpg", picture(0, (320, 240)))

    monkeypatch.setattr(card, "paint", paint)


def test_photos_of_other_bytes_and_the_same_pixels_are_read_by_the_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "_PAINTED", 6)
    files = list(card.painted(tmp_path / "Pictures", 12, 0.1))
    assert len({md5(path.read_bytes(), usedforsecurity=False).digest() for path in files}) == 12
    first, again = (np.asarray(Image.open(files[number])) for number in (0, 4))
    assert np.array_equal(first, again)
    assert card.read(files, "hashes", "0", tmp_path) > 0


@pytest.mark.parametrize(
    ("engine", "ways"), [("torch on cuda:0", ["decoding", "all", "0"]), ("torch on cpu", ["0"])]
)
def test_with_cards_and_without_by_turns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: str, ways: list[str]
) -> None:
    asked: list[str] = []

    def read(files: list[Path], embedder: str, way: str, scratch: Path) -> float:
        asked.append(way)
        assert embedder.startswith("open_clip:ViT-B-32@")
        return {"decoding": 480.0, "all": 190.0, "0": 170.0}[way] + len(asked)

    monkeypatch.setattr(card, "read", read)
    monkeypatch.setattr(card, "_run", lambda words: engine)
    monkeypatch.setattr(card, "random_weights", lambda folder: "open_clip:ViT-B-32@weights.pt")
    assert main(["bench", "speed", "--card", "--photos", "4", "--megapixels", "0.1", "--runs", "2"]) == 0
    assert asked == ways * 2
    told = capsys.readouterr().out
    assert engine in told
    assert ("no card is here" in told) == (ways == ["0"])
    assert main(["bench", "--card"]) == 2
