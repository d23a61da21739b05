"""What a proof may rest on: the bytes that were asked about, all of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from dedupd.adapters.vision import align, islands, proof, thumbnails
from dedupd.adapters.vision.decode import Refused, area_resize
from dedupd.adapters.vision.messages import FileToShrink, PairToProve, Proven
from tests.support.compare import compare
from tests.support.pictures import picture


def photo(seed: int = 0, size: tuple[int, int] = (640, 480)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def prove(a: Path, b: Path, gallery: proof.PairPictures | None = None) -> Proven:
    one, two = (blake3(path.read_bytes()).hexdigest() for path in (a, b))
    pair = PairToProve(key=0, a=one, b=two, path_a=os.fsencode(a), path_b=os.fsencode(b))
    return proof.prove(pair, gallery or proof.PairPictures())


def test_a_smaller_copy_aligns(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg", quality=95)
    photo().resize((320, 240)).save(tmp_path / "b.webp", quality=80)
    measures = prove(tmp_path / "a.jpg", tmp_path / "b.webp").measures
    assert measures is not None
    assert measures.method == "identity"


def test_what_may_move_is_measured_again_at_higher_resolution(tmp_path: Path) -> None:
    photo(size=(1600, 1200)).save(tmp_path / "a.jpg", quality=95)
    photo(size=(1600, 1200)).save(tmp_path / "b.jpg", quality=85)
    measures = prove(tmp_path / "a.jpg", tmp_path / "b.jpg").measures
    assert measures is not None
    assert measures.fine_worst is not None
    assert measures.fine_worst < 4


@pytest.mark.parametrize(
    "size", [(2000, 1500), (2600, 1950), (3000, 2250), (1600, 1203), (1200, 900), (640, 480)]
)
def test_the_closer_look_has_the_mean_greys_of_areas(size: tuple[int, int], tmp_path: Path) -> None:
    """Its colours are read between pixels; what is fine is measured in its greys, and a picture in any size is as sharp."""
    pixels = np.asarray(picture(5, size))
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=1)
    content = blake3((tmp_path / "a.png").read_bytes()).hexdigest()
    seen = proof.PairPictures().picture(str(tmp_path / "a.png"), content, proof.FINE_SIDE)
    wanted = align.grey_of(area_resize(pixels, proof.FINE_SIDE))
    assert seen.grey.shape == seen.rgb.shape[:2] == wanted.shape
    off = np.abs(seen.grey.astype(int) - wanted)
    assert off.mean() < 0.5
    assert off.max() <= 2


def test_another_picture_gets_no_closer_look(tmp_path: Path) -> None:
    photo(1, (1600, 1200)).save(tmp_path / "a.jpg", quality=95)
    photo(2, (1600, 1200)).save(tmp_path / "b.jpg", quality=85)
    measures = prove(tmp_path / "a.jpg", tmp_path / "b.jpg").measures
    assert measures is not None
    assert measures.fine_worst is None


@pytest.mark.parametrize(
    ("name", "more"),
    [("a.gif", "2 frames"), ("a.tif", "2 pages"), ("a.webp", "2 frames"), ("a.png", "2 frames")],
)
def test_equal_first_frames_prove_nothing_and_the_others_are_told(
    tmp_path: Path, name: str, more: str
) -> None:
    single, moving = tmp_path / "single.jpg", tmp_path / name
    photo().save(single)
    photo().save(moving, save_all=True, append_images=[photo(1)])
    found = compare(moving, single)
    measures = found.edge.evidence.measures
    assert measures is not None
    assert (measures.method, measures.worst) == ("none", 99.0)
    assert not found.edge.unattended
    assert found.holding.further == (more,)
    assert f"has {more} behind its picture" in found.clauses()
    assert "further" not in found.lost_of_second()


def test_an_unreadable_picture_is_an_error_not_a_measure(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:2000])
    answer = prove(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert answer.measures is None
    assert "damaged" in answer.error


def test_a_gallery_forgets_what_it_has_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(proof._CACHE_BYTES, 400, 2_000_000)
    gallery = proof.PairPictures()
    contents = []
    for seed in range(6):
        path = tmp_path / f"{seed}.png"
        photo(seed).save(path)
        contents.append((os.fspath(path), blake3(path.read_bytes()).hexdigest()))
        gallery.picture(*contents[-1], 400)
    os.unlink(contents[0][0])
    os.unlink(contents[-1][0])
    assert gallery.picture(*contents[-1], 400) is not None
    with pytest.raises(Exception, match="no longer there"):
        gallery.picture(*contents[0], 400)


def test_a_picture_that_several_pairs_ask_for_at_once_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo().save(tmp_path / "a.png")
    content = blake3((tmp_path / "a.png").read_bytes()).hexdigest()
    read: list[str] = []
    begun, met, really = Event(), Barrier(2, timeout=20), proof.read_picture

    def slow(path: str, *rest: Any, **more: Any) -> Any:
        read.append(path)
        begun.set()
        met.wait()
        return really(path, *rest, **more)

    monkeypatch.setattr(proof, "read_picture", slow)
    gallery = proof.PairPictures()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gallery.picture, os.fspath(tmp_path / "a.png"), content, 400)
        assert begun.wait(20)
        second = pool.submit(gallery.picture, os.fspath(tmp_path / "a.png"), content, 400)
        met.wait()
        assert first.result() is second.result()
    assert len(read) == 1


@pytest.mark.parametrize(("name", "reads"), [("a.png", 1), ("a.jpg", 2)])
def test_both_looks_share_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reads: int
) -> None:
    """Only the wholes of large JPEGs are read for themselves: in grey levels, at half the cost."""
    photo(size=(3200, 160)).save(tmp_path / name)
    content = blake3((tmp_path / name).read_bytes()).hexdigest()
    read, really = list[str](), proof.read_picture

    def counted(path: str, *rest: Any, **more: Any) -> Any:
        read.append(path)
        return really(path, *rest, **more)

    monkeypatch.setattr(proof, "read_picture", counted)
    gallery = proof.PairPictures()
    for side in (400, 1200):
        assert gallery.picture(os.fspath(tmp_path / name), content, side).width == side
    assert len(read) == 1
    gallery.whole(os.fspath(tmp_path / name), content)
    assert len(read) == reads


def test_a_picture_that_could_not_be_read_is_asked_for_again(tmp_path: Path) -> None:
    gallery, path = proof.PairPictures(), tmp_path / "a.png"
    photo().save(tmp_path / "b.png")
    content = blake3((tmp_path / "b.png").read_bytes()).hexdigest()
    with pytest.raises(Refused, match="no longer there"):
        gallery.picture(os.fspath(path), content, 400)
    (tmp_path / "b.png").rename(path)
    assert gallery.picture(os.fspath(path), content, 400) is not None


def test_a_large_look_leaves_the_small_pictures_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(proof._CACHE_BYTES, 1200, 1)
    gallery = proof.PairPictures()
    seen: dict[str, tuple[str, str]] = {}
    for name in ("a.png", "b.png"):
        photo(len(seen)).save(tmp_path / name)
        content = blake3((tmp_path / name).read_bytes()).hexdigest()
        seen[name] = os.fspath(tmp_path / name), content
        for side in (400, 1200):
            gallery.picture(*seen[name], side)
    (tmp_path / "a.png").unlink()
    assert gallery.picture(*seen["a.png"], 400) is not None
    with pytest.raises(Refused):
        gallery.picture(*seen["a.png"], 1200)


@pytest.mark.parametrize(
    ("size", "name"),
    [((900, 700), "a.jpg"), ((2100, 90), "a.jpg"), ((4200, 160), "a.jpg"), ((4200, 160), "a.png")],
)
def test_the_whole_has_all_the_pixels_of_the_file(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    """However the picture of the closer look was decoded: of a large JPEG that is half the size."""
    photo(size=size).save(tmp_path / name, quality=95)
    content = blake3((tmp_path / name).read_bytes()).hexdigest()
    gallery = proof.PairPictures()
    close, whole = (
        look(os.fspath(tmp_path / name), content, *side)
        for look, side in ((gallery.picture, [proof.FINE_SIDE]), (gallery.whole, []))
    )
    grey = np.asarray(Image.open(tmp_path / name).convert("L"), np.int16)
    assert isinstance(whole, np.ndarray)
    assert whole.shape == grey.shape
    assert np.abs(whole - grey).mean() < 1
    assert isinstance(close, align.Prepared)
    assert max(close.width, close.height) == min(max(size), proof.FINE_SIDE)


@pytest.mark.parametrize(("side", "at_least"), [(4000, islands.SIDE), (3300, islands.SIDE), (1700, 1700)])
def test_islands_are_looked_for_in_enough_pixels(tmp_path: Path, side: int, at_least: int) -> None:
    """A JPEG of 3300 px is decoded to half of that for the closer look: there its small letters are gone."""
    photo(size=(side, side // 2)).save(tmp_path / "a.jpg", quality=90)
    content = blake3((tmp_path / "a.jpg").read_bytes()).hexdigest()
    large = proof.PairPictures().large(os.fspath(tmp_path / "a.jpg"), content)
    assert max(large.shape) >= at_least


@pytest.mark.parametrize("size", [(3299, 2475), (3300, 2475), (3300, 2476)])
@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
def test_a_large_picture_lies_over_its_turned_self_to_the_pixel(
    tmp_path: Path, size: tuple[int, int], turn: Image.Transpose | None
) -> None:
    """Also with an odd side, which no decoder halves without half a pixel left over."""
    large = picture(3, (1100, 825)).resize(size, Image.Resampling.BICUBIC)
    large.save(tmp_path / "a.jpg", quality=92)
    (large if turn is None else large.transpose(turn)).save(tmp_path / "b.jpg", quality=90)
    measures = prove(tmp_path / "a.jpg", tmp_path / "b.jpg").measures
    assert measures is not None
    assert measures.fine_worst is not None
    assert measures.fine_worst < 1
    assert (measures.extra or {})["rest"] < 2


@pytest.mark.parametrize("size", [(4996, 3331), (3331, 4996)])
@pytest.mark.parametrize("form", ["png", "jpg"])
def test_greys_and_colours_of_a_closer_look_have_one_size(
    tmp_path: Path, size: tuple[int, int], form: str
) -> None:
    """A picture that was halved on the way may be rounded to another size than one that was not."""
    large = picture(3, (1000, 667)).resize(size, Image.Resampling.BICUBIC)
    large.save(tmp_path / f"a.{form}", quality=92, compress_level=1)
    large.resize((size[0] // 2, size[1] // 2), Image.Resampling.LANCZOS).save(tmp_path / "b.jpg", quality=85)
    measures = prove(tmp_path / f"a.{form}", tmp_path / "b.jpg").measures
    assert measures is not None
    assert measures.fine_worst is not None
    assert measures.fine_worst < 2


def test_a_thumbnail_is_of_the_bytes_asked_for(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg")
    file = FileToShrink(key=0, path=os.fsencode(tmp_path / "a.jpg"), content="f" * 64)
    assert thumbnails.shrink(file, tmp_path, 512).path == b""
    assert not [path for path in tmp_path.glob("thumbs/**/*") if path.is_file()]
