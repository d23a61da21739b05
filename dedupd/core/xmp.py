"""XMP: descriptions in sidecar files, as darktable, digiKam and Lightroom read and write them.

Owns the names and notations of the standard (ISO 16684-1, Exif in XMP). Must never trust a packet: one that
is not plain well-formed XMP, or that declares entities, gives no description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from xml.etree import ElementTree as ET

from dedupd.core.descriptions import Description, Location, cleaned

X, RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP, DC = "http://ns.adobe.com/xap/1.0/", "http://purl.org/dc/elements/1.1/"
EXIF, PHOTOSHOP = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/photoshop/1.0/"
_XML = "http://www.w3.org/XML/1998/namespace"
LARGEST = 4 << 20
"""Bytes of a packet, at most: larger ones hold edit histories of other programs, not descriptions."""

for _prefix, _uri in (
    ("x", X),
    ("rdf", RDF),
    ("xmp", XMP),
    ("dc", DC),
    ("exif", EXIF),
    ("photoshop", PHOTOSHOP),
):
    ET.register_namespace(_prefix, _uri)

_DEGREES = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


def to_xmp(known: Description) -> str:
    """The text of a sidecar file with this description; equal descriptions give equal bytes."""
    about = ET.Element(f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    if known.captured:
        _add(about, EXIF, "DateTimeOriginal", known.captured)
        _add(about, PHOTOSHOP, "DateCreated", known.captured)
    if known.place is not None:
        _add(about, EXIF, "GPSLatitude", _degrees(known.place.latitude, "NS"))
        _add(about, EXIF, "GPSLongitude", _degrees(known.place.longitude, "EW"))
        if known.place.altitude is not None:
            _add(about, EXIF, "GPSAltitudeRef", "1" if known.place.altitude < 0 else "0")
            _add(about, EXIF, "GPSAltitude", f"{round(abs(known.place.altitude) * 100)}/100")
    if known.rating:
        _add(about, XMP, "Rating", str(known.rating))
    if known.keywords:
        bag = ET.SubElement(_add(about, DC, "subject"), f"{{{RDF}}}Bag")
        for word in known.keywords:
            _add(bag, RDF, "li", word)
    if known.caption:
        alternatives = ET.SubElement(_add(about, DC, "description"), f"{{{RDF}}}Alt")
        _add(alternatives, RDF, "li", known.caption).set(f"{{{_XML}}}lang", "x-default")
    meta = ET.Element(f"{{{X}}}xmpmeta", {f"{{{X}}}xmptk": "dedupd"})
    ET.SubElement(meta, f"{{{RDF}}}RDF").append(about)
    ET.indent(meta)
    body = ET.tostring(meta, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add(above: ET.Element, namespace: str, name: str, text: str = "") -> ET.Element:
    element = ET.SubElement(above, f"{{{namespace}}}{name}")
    element.text = text or None
    return element


def _degrees(value: float, ends: str) -> str:
    """'52,31.120000N': degrees and decimal minutes, as the standard has it."""
    minutes = round(abs(value) * 60, 6)
    return f"{int(minutes // 60)},{minutes % 60:.6f}{ends[value < 0]}"


def from_xmp(packet: bytes) -> Description:
    """The description in a packet or sidecar; an empty one when it cannot be read."""
    if len(packet) > LARGEST or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return Description()
    try:
        tree = ET.fromstring(packet.strip(b"\0 \t\r\n"))
    except (ET.ParseError, ValueError, LookupError):
        return Description()
    said = _Packet(tree)
    captured = said.text(EXIF, "DateTimeOriginal") or said.text(PHOTOSHOP, "DateCreated")
    latitude, longitude = (_angle(said.text(EXIF, name)) for name in ("GPSLatitude", "GPSLongitude"))
    place = None
    if latitude is not None and longitude is not None:
        below = said.text(EXIF, "GPSAltitudeRef") == "1"
        altitude = _number(said.text(EXIF, "GPSAltitude"))
        place = Location(
            latitude=latitude, longitude=longitude,
            altitude=-altitude if altitude is not None and below else altitude,
        )  # fmt: skip
    return cleaned(
        captured=moment(captured), place=place, rating=_number(said.text(XMP, "Rating")),
        keywords=said.list(DC, "subject"), caption=next(iter(said.list(DC, "description")), ""),
    )  # fmt: skip


def moment(text: str) -> str:
    """`text` when it is a valid date and time, to the second at least; else ''."""
    if _MOMENT.fullmatch(text):
        with suppress(ValueError):
            datetime.fromisoformat(text)
            return text
    return ""


class _Packet:
    """Properties of a packet, whether written as attributes or as elements."""

    def __init__(self, tree: ET.Element) -> None:
        self._about = list(tree.iter(f"{{{RDF}}}Description"))

    def text(self, namespace: str, name: str) -> str:
        key = f"{{{namespace}}}{name}"
        for about in self._about:
            found = about.get(key) or about.findtext(key)
            if found and found.strip():
                return found.strip()
        return ""

    def list(self, namespace: str, name: str) -> list[str]:
        return [word for word in self._items(f"{{{namespace}}}{name}") if word.strip()]

    def _items(self, key: str) -> Iterator[str]:
        for about in self._about:
            for property in about.iter(key):
                items = list(property.iter(f"{{{RDF}}}li"))
                yield from (item.text or "" for item in items)
                if not items:
                    yield property.text or ""


def _angle(text: str) -> float | None:
    match = _DEGREES.fullmatch(text)
    if match is None:
        return None
    degrees, minutes, seconds, end = match.groups()
    value = int(degrees) + float(minutes) / 60 + float(seconds or 0) / 3600
    return -value if end in "SW" else value


def _number(text: str) -> float | None:
    whole, _, part = text.partition("/")
    with suppress(ValueError, ZeroDivisionError, OverflowError):
        value = float(whole) / float(part or 1)
        return value if abs(value) < 1e6 else None
    return None
