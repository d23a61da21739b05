"""JPEGs decoded on a card, as far as can be tested without one: torchvision on the processor, and decoders that misbehave."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision import card_jpeg, small
from dedupd.adapters.vision.card_jpeg import CardJpegs, decode_made_up, gives_the_same_vectors
from dedupd.adapters.vision.decode import Picture, Refused, decode
from tests.support.pictures import picture, save
from tests.support.remote_eyes import TinyEmbedder

Decoder = Callable[[bytes, int], np.ndarray]


def mean_of_blocks(data: bytes, scale: int) -> np.ndarray:
    """What a card does, by numpy."""
    whole = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
    height, width = whole.shape[:2]
    padded = np.pad(whole, ((0, -height % scale), (0, -width % scale), (0, 0)), "edge")
    blocks = padded.reshape(padded.shape[0] // scale, scale, padded.shape[1] // scale, scale, 3)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(card_jpeg, "_TRIAL", 4)
    yield
    small.use_card(None)


def looked(path: Path, card: CardJpegs | None = None) -> Picture:
    small.use_card(card)
    with path.open("rb") as file:
        return decode(file, str(path), short_side=320)


class Counting:
    """A decoder that notes how often it was asked."""

    def __init__(self, decoder: Decoder = mean_of_blocks) -> None:
        self.asked, self._decoder = 0, decoder

    def __call__(self, data: bytes, scale: int) -> np.ndarray:
        self.asked += 1
        return self._decoder(data, scale)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("card") / "a.jpg", picture(3, (1005, 753)), orientation=6)


def test_a_card_is_trusted_once_it_gave_the_same_pictures_and_photos_stay_upright(
    photo: Path,
) -> None:
    usual, bright = looked(photo), np.full((377, 503, 3), 7, np.uint8)
    counting = Counting(lambda data, scale: bright if card.trusted else mean_of_blocks(data, scale))
    card = CardJpegs(counting)
    for _ in range(card_jpeg._TRIAL):
        assert not card.trusted
        assert looked(photo, card).image.tobytes() == usual.image.tobytes(), "in the trial, the processor's"
    assert card.trusted
    ours = looked(photo, card)
    assert counting.asked == card_jpeg._TRIAL + 1
    assert (ours.image.size, ours.width, ours.height) == (usual.image.size, usual.width, usual.height)
    assert ours.image.getextrema() == ((7, 7),) * 3, "the card's, not looked at again"
    assert ours.exif.get(0x0112) == 6


@pytest.mark.parametrize("wrong", ["other", "size"])
def test_a_card_that_gives_other_pictures_decodes_no_more(
    photo: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    def odd(data: bytes, scale: int) -> np.ndarray:
        found = mean_of_blocks(data, scale)
        return found[:-1] if wrong == "size" else found // 2

    counting = Counting(odd)
    card = CardJpegs(counting)
    usual = looked(photo)
    for _ in range(card_jpeg._TRIAL + 2):
        assert looked(photo, card).image.tobytes() == usual.image.tobytes()
    assert (counting.asked, card.trusted) == (1, False)
    assert capsys.readouterr().err.count("it gives other pictures than the processor") == 1


def test_one_that_fails_again_and_again_is_not_asked_any_more(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(data: bytes, scale: int) -> np.ndarray:
        raise RuntimeError("nvjpegDecode failed: 6\nmore")

    counting = Counting(fail)
    card = CardJpegs(counting)
    for _ in range(6):
        assert looked(photo, card).image.size == (377, 503)
    assert counting.asked == 3
    assert "RuntimeError: nvjpegDecode failed: 6): the processor does" in capsys.readouterr().err


def test_what_is_cut_short_progressive_small_or_no_jpeg_is_the_processors(
    photo: Path, tmp_path: Path
) -> None:
    counting = Counting()
    card = CardJpegs(counting)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:-5000])
    with pytest.raises(Refused, match="damaged or cut short"):
        looked(cut, card)
    large = picture(4, (1000, 750))
    large.save(tmp_path / "progressive.jpg", progressive=True)
    large.convert("L").save(tmp_path / "grey.jpg")
    large.convert("CMYK").save(tmp_path / "cmyk.jpg")
    large.save(tmp_path / "b.png")
    large.resize((500, 400)).save(tmp_path / "small.jpg")
    for name in ("progressive.jpg", "grey.jpg", "cmyk.jpg", "b.png", "small.jpg"):
        looked(tmp_path / name, card)
    assert counting.asked == 0


def test_the_vectors_of_made_up_photos_are_compared_first() -> None:
    decoded = decode_made_up(mean_of_blocks)
    good = [each.data for each in decoded]
    assert gives_the_same_vectors(good, TinyEmbedder())
    assert gives_the_same_vectors(good, None)
    assert not gives_the_same_vectors([each[::-1].copy().data for each in decoded], None)
    assert not gives_the_same_vectors([each[1:].data for each in decoded], None)

    class Touchy(TinyEmbedder):
        """Turns a rounding into another vector."""

        def embed(self, batch: Any) -> Any:
            rows = super().embed(batch)
            rows[1] = -rows[1]
            return rows

    assert not gives_the_same_vectors(good, Touchy())


def test_what_torchvision_decodes_is_the_picture_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's own decoder is not run: it comes in builds for cards, which do not load beside a torch for processors."""
    torch = pytest.importorskip("torch")
    asked: list[str] = []

    def decode_jpeg(raw: Any, mode: str, device: str) -> Any:
        asked.append(f"{mode} on {device}")
        whole = np.asarray(Image.open(io.BytesIO(raw.numpy().tobytes())).convert("RGB"))
        return torch.from_numpy(whole.transpose(2, 0, 1).copy())

    io_module = SimpleNamespace(ImageReadMode=SimpleNamespace(RGB="RGB"), decode_jpeg=decode_jpeg)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(io=io_module))
    monkeypatch.setitem(sys.modules, "torchvision.io", io_module)
    decoder = card_jpeg.torchvision_decoder("cuda:1")
    assert gives_the_same_vectors([each.data for each in decode_made_up(decoder)], TinyEmbedder())
    assert set(asked) == {"RGB on cuda:1"}
    data = card_jpeg._made_up(1)
    assert np.array_equal(decoder(data, 8), mean_of_blocks(data, 8))


def test_without_a_card_none_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(card_jpeg, "torch_cards", lambda torch: ["mps"])
    assert card_jpeg.decoding_cards() == []
