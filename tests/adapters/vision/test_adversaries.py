"""Pictures made to be taken for duplicates: none of them may be called more than `similar`, none may move."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dedupd.adapters.vision import proof
from dedupd.adapters.vision.decode import content_of, decode, opened
from dedupd.adapters.vision.messages import PairToProve
from dedupd.adapters.vision.traits import measure
from dedupd.bench.gallery import scene
from dedupd.core.photo import Candidate, Edge, Relation, Traits
from dedupd.core.relations import classify, prospect, thresholds_for
from tests.support.adversaries import FAMILIES, on_a_table
from tests.support.pictures import save

Seen = tuple[Path, Traits, np.ndarray]
SIMILAR = (None, Relation.SIMILAR)


def seen(path: Path) -> Seen:
    with opened(os.fspath(path)) as file:
        content = content_of(file)
        traits, turned = measure(decode(file, os.fspath(path), short_side=320), content, "lite0-gem/1")
    return path, traits, turned


def judged(one: Seen, other: Seen, gallery: proof.PairPictures) -> Edge | None:
    """As the product does, with a cosine that always proposes."""
    a, b = sorted((one, other), key=lambda s: s[1].content)
    distance = int(np.bitwise_count(a[2] ^ b[2][0]).min())
    candidate = Candidate(a=a[1].content, b=b[1].content, cosine=0.97, hash_distance=distance)
    pair = PairToProve(
        key=0, a=a[1].content, b=b[1].content, path_a=os.fsencode(a[0]), path_b=os.fsencode(b[0]),
        may=prospect(a[1], b[1], candidate),
    )  # fmt: skip
    measures = proof.prove(pair, gallery).measures
    return classify(a[1], b[1], candidate, measures, thresholds_for("lite0-gem/1"), True)


def made(family: str, folder: Path, members: Iterable[int], quality: int = 88) -> list[Seen]:
    found: list[Seen] = []
    for n in members:
        FAMILIES[family](n).save(folder / f"{n}.jpg", quality=quality)
        found.append(seen(folder / f"{n}.jpg"))
    return found


def moving(pairs: Iterable[tuple[Seen, Seen]]) -> Iterator[str]:
    """The pairs that would move unasked."""
    gallery = proof.PairPictures()
    for one, other in pairs:
        edge = judged(one, other, gallery)
        if edge is not None and edge.unattended:
            yield f"{one[0].name} {other[0].name}: {edge.relation}, {edge.why}"


def above_similar(pairs: Iterable[tuple[Seen, Seen]]) -> Iterator[str]:
    gallery = proof.PairPictures()
    for one, other in pairs:
        edge = judged(one, other, gallery)
        if edge is not None and (edge.relation not in SIMILAR or edge.unattended):
            yield f"{one[0].name} {other[0].name}: {edge.relation}, {edge.why}"


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_that_only_looks_alike_is_more_than_similar(family: str, tmp_path: Path) -> None:
    assert not list(above_similar(combinations(made(family, tmp_path, range(3)), 2)))


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", FAMILIES)
def test_two_hundred_of_a_kind_are_two_hundred(family: str, tmp_path: Path) -> None:
    members = made(family, tmp_path, range(200))
    near = [(members[n], members[(n + 1) % 200]) for n in range(200)]
    near += [(members[n], members[(n + 7) % 200]) for n in range(0, 200, 4)]
    assert not list(above_similar(near))


@pytest.mark.parametrize(
    "family", ["receipts", "one digit", "cards", "chats", "pages", "night", "sky", "somebody else"]
)
def test_another_compression_makes_them_no_copies(family: str, tmp_path: Path) -> None:
    """The pipeline gives nothing away; what is in the picture has to."""
    (tmp_path / "other").mkdir()
    first, second = made(family, tmp_path, [0, 1]), made(family, tmp_path / "other", [1, 2], quality=76)
    gallery = proof.PairPictures()
    for one, other in ((first[0], second[0]), (first[1], second[1])):
        edge = judged(one, other, gallery)
        assert edge is None or not edge.unattended, edge.why
    same = judged(first[1], second[0], gallery)
    assert family in ("night", "sky") or (same is not None and same.unattended), same


@pytest.mark.parametrize("family", ["receipts", "chats", "pages"])
@pytest.mark.parametrize("quality", [88, 70])
def test_a_line_written_on_a_page_is_no_date_stamp(family: str, quality: int, tmp_path: Path) -> None:
    """The signed contract must not move beside the blank one."""
    blank = FAMILIES[family](1)
    signed = blank.copy()
    ImageDraw.Draw(signed).text((170, blank.height * 0.96), "Signed: A. Miller", (0, 0, 0), font_size=18)
    blank.save(tmp_path / "blank.jpg", quality=85)
    signed.save(tmp_path / "signed.jpg", quality=quality)
    assert not list(moving([(seen(tmp_path / "blank.jpg"), seen(tmp_path / "signed.jpg"))]))


@pytest.mark.parametrize("family", ["receipts", "chats", "pages"])
def test_a_line_written_on_a_photographed_page_is_none_either(family: str, tmp_path: Path) -> None:
    """Photographed so that two of the three are not known for text."""
    blank = FAMILIES[family](1)
    signed = blank.copy()
    ImageDraw.Draw(signed).text((170, blank.height * 0.96), "Signed: A. Miller", (0, 0, 0), font_size=22)
    on_a_table(blank, 1).save(tmp_path / "blank.jpg", quality=85)
    on_a_table(signed, 2).save(tmp_path / "signed.jpg", quality=70)
    assert not list(moving([(seen(tmp_path / "blank.jpg"), seen(tmp_path / "signed.jpg"))]))


def test_one_number_on_a_photographed_page_is_seen(tmp_path: Path) -> None:
    for n, (number, quality) in enumerate((("20:15", 85), ("21:48", 70))):
        chat = FAMILIES["chats"](1)
        ImageDraw.Draw(chat).text((200, 920), number, (0, 0, 0), font_size=20)
        on_a_table(chat, n).save(tmp_path / f"{n}.jpg", quality=quality)
    assert not list(moving([(seen(tmp_path / "0.jpg"), seen(tmp_path / "1.jpg"))]))


def by_hand(photo: Image.Image, n: int) -> Image.Image:
    """Nobody holds a camera still: turned a little, shifted, and cut to where nothing is missing."""
    turned = photo.rotate(0.6 * n, Image.Resampling.BICUBIC, translate=(9 * n, -7 * n))
    return turned.crop((40, 40, photo.width - 40, photo.height - 40))


@pytest.mark.parametrize("family", ["receipts", "chats", "pages"])
def test_one_page_after_the_other_is_no_burst(family: str, tmp_path: Path) -> None:
    """A second apart, by one camera, on one table: only what is written on them differs."""
    shots: list[Seen] = []
    for n in range(2):
        photo = by_hand(on_a_table(FAMILIES[family](n + 1), n), n)
        taken = datetime(2024, 6, 1, 12, 0, n)
        shots.append(seen(save(tmp_path / f"{n}.jpg", photo, taken=taken, camera=("Maker", "One"))))
    assert not list(moving([(shots[0], shots[1])]))


def test_a_line_on_a_page_in_a_dim_light_is_seen(tmp_path: Path) -> None:
    """Two shots of a form, filled in meanwhile, by the lamp of a bedroom."""
    shots: list[Seen] = []
    for n in range(2):
        form = FAMILIES["pages"](1)
        if n:
            ImageDraw.Draw(form).text((80, 1136), "Signed: A. Miller, 4 May", (40, 40, 60), font_size=22)
        photo = by_hand(on_a_table(form, n), n).point(lambda level: level * 0.2)
        taken = datetime(2024, 6, 1, 22, 0, n)
        shots.append(seen(save(tmp_path / f"{n}.jpg", photo, taken=taken, camera=("Maker", "One"))))
    assert not list(moving([(shots[0], shots[1])]))


def test_a_page_photographed_twice_is_one(tmp_path: Path) -> None:
    shots: list[Seen] = []
    for n in range(2):
        photo = by_hand(on_a_table(FAMILIES["pages"](1), n), n)
        taken = datetime(2024, 6, 1, 12, 0, n)
        shots.append(seen(save(tmp_path / f"{n}.jpg", photo, taken=taken, camera=("Maker", "One"))))
    assert list(moving([(shots[0], shots[1])]))


def test_a_photographed_page_saved_again_is_still_a_copy(tmp_path: Path) -> None:
    photo = on_a_table(FAMILIES["pages"](1), 1)
    photo.save(tmp_path / "a.jpg", quality=90)
    photo.resize((750, 1000)).save(tmp_path / "b.jpg", quality=70)
    assert list(moving([(seen(tmp_path / "a.jpg"), seen(tmp_path / "b.jpg"))]))


def test_a_frame_saved_again_is_still_a_copy(tmp_path: Path) -> None:
    frames = made("nobody", tmp_path, [0])
    again = tmp_path / "again.jpg"
    FAMILIES["nobody"](0).save(again, quality=60)
    edge = judged(frames[0], seen(again), proof.PairPictures())
    assert edge is not None and edge.relation is Relation.COPY and edge.unattended


def test_another_number_on_a_scoreboard_is_seen(tmp_path: Path) -> None:
    """Nine pixels high in a whole scene: what differs is less than in many a copy."""
    for n, (score, quality) in enumerate((("4 : 28", 90), ("5 : 12", 70))):
        photo = scene(31, (1200, 900), subject=None)
        draw = ImageDraw.Draw(photo)
        draw.rectangle((300, 200, 353, 218), fill=(10, 10, 12))
        draw.text((304, 202), score, (255, 60, 20), font_size=12)
        photo.save(tmp_path / f"{n}.jpg", quality=quality)
    assert not list(moving([(seen(tmp_path / "0.jpg"), seen(tmp_path / "1.jpg"))]))
