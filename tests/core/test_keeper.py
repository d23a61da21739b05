"""Which photo keeps: the original, and a reason for it in words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.keeper import Node, better, editor, rank_key, reasons
from dedupd.core.photo import Traits

ORIGINAL = Traits(
    content="a",
    recipe="1",
    model="",
    format="JPEG",
    width=4000,
    height=3000,
    phash=0,
    dhash=0,
    captured=1000.0,
    camera="Maker|One|7",
    metadata_fields=60,
    jpeg_quality=93.0,
    sharpness=300.0,
)
STRIPPED = replace(ORIGINAL, captured=None, camera="", metadata_fields=0)


def node(path: str, traits: Traits = ORIGINAL, **more: object) -> Node:
    settings: dict[str, object] = {
        "id": 1,
        "root": 1,
        "month": "2024-06",
        "size": 5000,
        "mtime": 2000.0,
        **more,
    }
    return Node(path=path, content=traits.content, traits=traits, **settings)  # type: ignore[arg-type]


KEEPS = node("2024/06/IMG_0001.jpg")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (node("2024/06/IMG-20240615-WA0003.jpg", replace(STRIPPED, jpeg_quality=70.0)), "camera's own data"),
        (node("a.jpg", replace(STRIPPED, width=8000, height=6000)), "camera's own data"),
        (node("a.jpg", replace(ORIGINAL, software="Adobe Photoshop 25")), "not edited"),
        (node("a.jpg", replace(ORIGINAL, width=1600, height=1200)), "more pixels"),
        (node("a.jpg", replace(ORIGINAL, jpeg_quality=70.0)), "less compressed"),
        (node("a.png", replace(ORIGINAL, format="PNG", jpeg_quality=None)), "JPEG rather than PNG"),
        (node("a.jpg", replace(ORIGINAL, metadata_fields=20)), "richer metadata"),
        (node("2024/06/IMG_0001.jpg", replace(ORIGINAL, captured=5000.0)), "older"),
        (node("2024/06/IMG_0001 (1).jpg"), "cleaner name"),
        (node("2024/06/Copy of IMG_0001.jpg"), "cleaner name"),
        (node("2024/06/a\n\x1b[31m.jpg"), "cleaner name"),
    ],
)
def test_the_original_keeps_and_says_why(other: Node, reason: str) -> None:
    assert rank_key(KEEPS) < rank_key(other)
    assert any(reason in text for text in reasons(KEEPS, other)), reasons(KEEPS, other)


def test_a_protected_folder_and_companions_outweigh_pixels() -> None:
    small = replace(ORIGINAL, width=1600, height=1200)
    assert rank_key(node("b.jpg", small, protected=True)) < rank_key(KEEPS)
    assert rank_key(node("b.jpg", small, companions=2)) < rank_key(KEEPS)


def test_heic_keeps_before_the_jpeg_made_from_it() -> None:
    heic = node("IMG_1.HEIC", replace(ORIGINAL, format="HEIF", jpeg_quality=None))
    assert rank_key(heic) < rank_key(KEEPS)


def test_sharpness_counts_in_bursts_only() -> None:
    sharp, dull = node("b.jpg", replace(ORIGINAL, sharpness=900.0)), node("a.jpg")
    assert rank_key(dull) < rank_key(sharp)
    assert rank_key(sharp, in_burst=True) < rank_key(dull, in_burst=True)


@pytest.mark.parametrize(
    ("policy", "winner"),
    [("oldest", "old"), ("newest", "new"), ("largest", "new"), ("smallest", "old"), ("lexi", "new")],
)
def test_other_policies(policy: str, winner: str) -> None:
    old = node("b/old.jpg", replace(ORIGINAL, captured=10.0), size=10)
    new = node("a/new.jpg", replace(ORIGINAL, captured=20.0), size=20)
    first = min(old, new, key=lambda each: rank_key(each, policy))
    assert winner in first.path
    assert (
        f"policy: {policy}"[:12] in reasons(first, new if first is old else old, policy)[0]
        or policy == "lexi"
    )


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="'prettiest' is no keep policy"):
        rank_key(KEEPS, "prettiest")


def test_a_name_alone_makes_nothing_better() -> None:
    assert not better(KEEPS, node("2024/06/IMG_0001 (1).jpg"))
    assert better(KEEPS, node("a.jpg", STRIPPED))


@pytest.mark.parametrize(
    ("software", "edits"),
    [("GIMP 2.10", True), ("Adobe Lightroom 7", True), ("16.4.1", False), ("HDR+ 1.0", False), ("", False)],
)
def test_editors_are_known_by_name(software: str, *, edits: bool) -> None:
    assert bool(editor(replace(ORIGINAL, software=software))) is edits


paths = st.sampled_from(["a.jpg", "b (1).jpg", "c/Copy of x.jpg", "IMG-20240615-WA0003.jpg", "\udcff.jpg"])
several = st.lists(
    st.builds(
        lambda path, width, captured, camera, quality, id: node(
            path,
            replace(
                ORIGINAL, width=width, captured=captured, camera=camera, jpeg_quality=quality, content=str(id)
            ),
            id=id,
        ),
        paths,
        st.sampled_from([100, 4000]),
        st.sampled_from([None, 5.0, 9.0]),
        st.sampled_from(["", "M|1|"]),
        st.sampled_from([None, 60.0, 95.0]),
        st.integers(0, 99),
    ),
    min_size=2,
    max_size=5,
    unique_by=lambda each: each.id,
)


@given(several, st.sampled_from(["best", "oldest", "newest", "largest", "smallest", "lexi"]))
def test_the_order_is_total(nodes: list[Node], policy: str) -> None:
    for one, other in itertools.combinations(nodes, 2):
        assert (rank_key(one, policy) < rank_key(other, policy)) != (
            rank_key(other, policy) < rank_key(one, policy)
        )


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0001 (Anna's conflicted copy 2024-06-15).jpg",
        "IMG_0001 (conflicted copy 2024-06-15 101112).jpg",
        "IMG_0001 (In Konflikt stehende Kopie von Anna 2024-06-15).jpg",
        "IMG_0001_conflict-20240615-101112.jpg",
        "IMG_0001.sync-conflict-20240615-101112-ABCDEFG.jpg",
        "IMG_0001 (SFConflict anna@example.org 2024-06-15-10-11-12).jpg",
        "IMG_0001-DESKTOP-4F2K9QX.jpg",
        "IMG_0001-LAPTOP-7H3D2M1P-2.jpg",
    ],
)
def test_the_copy_that_a_sync_client_made_of_a_conflict_goes(name: str) -> None:
    """Whatever its file's time says: the client sets it."""
    undated = replace(ORIGINAL, captured=None)
    keeper, copy = node("2024/06/IMG_0001.jpg", undated), node(f"2024/06/{name}", undated, mtime=1.0)
    assert min((keeper, copy), key=rank_key) is keeper
    assert "not a sync client's conflicting copy" in reasons(keeper, copy)


@pytest.mark.parametrize(
    "name", ["conflict zone.jpg", "a-desktop-picture.jpg", "a-DESKTOP-WALLPAPERS.jpg", "LAPTOP.jpg"]
)
def test_other_names_are_nobodys_conflict(name: str) -> None:
    undated = replace(ORIGINAL, captured=None)
    older = node(f"2024/06/{name}", undated, mtime=1.0)
    assert min((node("2024/06/a.jpg", undated), older), key=rank_key) is older


def test_at_equal_holdings_a_raw_keeps_before_a_heic_and_a_heic_before_a_jpeg() -> None:
    files = [
        node(f"{name}.x", replace(ORIGINAL, format=name, jpeg_quality=None))
        for name in ("JPEG", "RAW", "HEIF")
    ]
    assert [file.traits.format for file in sorted(files, key=rank_key)] == ["RAW", "HEIF", "JPEG"]
