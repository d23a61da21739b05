"""What is known of photos: merged without inventing anything, written as XMP and read back the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.descriptions import Description, Place, cleaned, joined, lacking
from dedupd.core.xmp import from_xmp, to_xmp

FULL = Description(
    captured="2024-06-15T12:30:01.25+02:00", place=Place(latitude=52.51667, longitude=-13.38333, altitude=34.5),
    rating=4, keywords=("Ostsee", "Oma & Opa"), caption="On the <beach>",
)  # fmt: skip


@pytest.mark.parametrize("name", ["captured", "place", "rating", "keywords", "caption"])
def test_each_fact_is_taken_when_the_keeper_lacks_it_and_only_then(name: str) -> None:
    one = Description(**{name: getattr(FULL, name)})
    assert lacking(Description(), [Description(), one, one]) == (one, [])
    assert lacking(one, [one]) == (Description(), [])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("captured", "2019-01-01T00:00:00"),
        ("place", Place(latitude=1.0, longitude=2.0)),
        ("rating", 2),
        ("caption", "In the woods"),
    ],
)
def test_copies_that_disagree_leave_it_out_and_say_so(name: str, other: Any) -> None:
    copies = [Description(**{name: getattr(FULL, name)}), Description(**{name: other})]
    wanted, conflicts = lacking(Description(), copies)
    assert not wanted and len(conflicts) == 1
    assert lacking(copies[0], copies) == (Description(), []), (
        "the keeper's own word stands, whatever copies say"
    )


def test_two_notations_of_one_moment_and_place_agree() -> None:
    a = Description(captured="2024-06-15T12:30:01", place=Place(latitude=52.51667, longitude=13.38333))
    b = Description(
        captured="2024-06-15T12:30:01.5+02:00", place=Place(latitude=52.51668, longitude=13.38333)
    )
    assert lacking(Description(), [a, b]) == (a, [])


def test_keywords_add_up_without_those_the_keeper_has() -> None:
    keeper = Description(keywords=("sea",))
    copies = [Description(keywords=("Sea", "Anna")), Description(keywords=("anna", "2024"))]
    assert lacking(keeper, copies)[0].keywords == ("Anna", "2024")


def test_what_makes_no_sense_is_left_out() -> None:
    assert not cleaned(
        place=Place(latitude=0.0, longitude=0.0), rating=0, keywords=["", " \x00"], caption="\x07"
    )
    assert not cleaned(place=Place(latitude=float("nan"), longitude=1.0), rating=99)
    assert not cleaned(place=Place(latitude=91.0, longitude=1.0))


def test_the_first_source_is_believed() -> None:
    assert joined(Description(rating=5), FULL) == replace(FULL, rating=5)


# ---- XMP


def test_a_sidecar_says_it_in_the_standards_words() -> None:
    text = to_xmp(FULL)
    for part in (
        "<exif:DateTimeOriginal>2024-06-15T12:30:01.25+02:00<", "<photoshop:DateCreated>2024-06-15T12:30:01.25+02:00<",
        "<exif:GPSLatitude>52,31.000200N<", "<exif:GPSLongitude>13,22.999800W<", "<exif:GPSAltitude>3450/100<",
        "<xmp:Rating>4<", "<rdf:li>Oma &amp; Opa<", '<rdf:li xml:lang="x-default">On the &lt;beach&gt;<',
        'xmlns:dc="http://purl.org/dc/elements/1.1/"', 'x:xmptk="dedupd"',
    ):  # fmt: skip
        assert part in text


_words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
_places = st.builds(
    Place, latitude=st.floats(-90, 90), longitude=st.floats(0.5, 180), altitude=st.none() | st.floats(-400, 9000)
)  # fmt: skip


@given(
    place=st.none() | _places, rating=st.none() | st.sampled_from([-1, 1, 5]),
    keywords=st.lists(_words, max_size=5), caption=_words | st.just(""),
    captured=st.just("") | st.datetimes().map(lambda d: d.isoformat()),
)  # fmt: skip
def test_what_is_written_is_read_back(
    place: Place | None, rating: int | None, keywords: list[str], caption: str, captured: str
) -> None:
    if captured.startswith("0"):
        captured = ""
    known = cleaned(captured=captured, place=place, rating=rating, keywords=keywords, caption=caption)
    text = to_xmp(known)
    read = from_xmp(text.encode())
    assert replace(read, place=None) == replace(known, place=None)
    assert lacking(known, [read]) == (Description(), [])
    assert (read.place is None) == (known.place is None)
    if known.place is not None and read.place is not None:
        assert abs(read.place.latitude - known.place.latitude) < 1e-6
    assert to_xmp(known) == text


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff\xd8 not xml",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        b"<" * 100_000,
        to_xmp(FULL).encode()[:-20],
        to_xmp(FULL).encode() + b" " * (5 << 20),
    ],
)
def test_a_packet_that_is_none_says_nothing(packet: bytes) -> None:
    assert not from_xmp(packet)


def test_properties_written_as_attributes_are_read_too() -> None:
    packet = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
    xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:Rating="3"
    exif:GPSLatitude="52,30,36N" exif:GPSLongitude="13,24.5E"/></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"""
    said = from_xmp(packet)
    assert said.rating == 3 and said.place is not None and abs(said.place.latitude - 52.51) < 1e-9
