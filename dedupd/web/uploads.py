"""Uploaded files, written as they arrive: counted, limited, each in a folder of its own under a harmless
name.

Must never hold a file in memory, trust a length or a name, or write outside the given folder.
"""

from __future__ import annotations

import asyncio
import os
import re
import unicodedata
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dedupd.web.problems import Problem

FIELD = b"files"
_NAME_BYTES = 120
_HARMLESS = re.compile(r"[^\w .()+,=@~-]")
_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file of a set; its folder holds nothing else."""

    name: str
    """The name that the client gave: to be shown, never opened."""
    path: Path


def harmless(name: str) -> str:
    """A file name for the disk that resembles `name`: no folders, no hidden files, only letters and a few
    signs."""
    last = re.split(r"[/\\]", name)[-1]
    plain = _HARMLESS.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 8:
        stem, ending = plain, ""
    while len(stem.encode()) > _NAME_BYTES:
        stem = stem[:-1]
    return f"{stem or 'photo'}{dot if ending else ''}{ending}"


def boundary_of(content_type: str) -> bytes:
    """Raises Problem 415 for anything but multipart/form-data, 400 without a boundary."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Problem(
            415, "not_multipart", "send the pictures as multipart/form-data, each in a field `files`"
        )
    if not (boundary := options.get(b"boundary")):
        raise Problem(400, "malformed", "the multipart body names no boundary")
    return boundary


@dataclass(slots=True, kw_only=True)
class Receiver:
    """Parses one multipart body. `folder`: where each file gets a folder of its own."""

    folder: Path
    most: int
    """Files in one body, at most."""
    found: list[Upload] = field(default_factory=list[Upload])
    _headers: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    _name: bytes = b""
    _value: bytes = b""
    _out: IO[bytes] | None = None
    _whole: bool = False

    async def take(self, boundary: bytes, body: AsyncIterable[bytes]) -> list[Upload]:
        """All files of the body, in order. Raises Problem: 400, 413, 422."""
        try:
            parser = self._parser(boundary)
            async for chunk in body:
                await asyncio.to_thread(parser.write, chunk)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, "malformed", f"the multipart body cannot be read: {error}"[:300]) from None
        except OSError as error:
            raise Problem(413, "no_room", f"the upload cannot be kept ({error.strerror})") from None
        finally:
            self._end()
        if not self._whole:  # half a picture may look like one
            raise Problem(400, "malformed", "the multipart body ended before its closing boundary")
        if not self.found:
            raise Problem(422, "invalid", "there is no picture in it: send each in a field `files`")
        return self.found

    def _parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": lambda data, start, end: self._more(data[start:end], b""),
                "on_header_value": lambda data, start, end: self._more(b"", data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._complete,
            },
            max_header_count=8,
            max_header_size=_HEADER_BYTES,
        )

    def _more(self, name: bytes, value: bytes) -> None:
        self._name += name
        self._value += value

    def _header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _begin(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") != FIELD or b"filename" not in options:
            raise Problem(422, "invalid", "send nothing but files, each in a field `files`")
        if len(self.found) == self.most:
            raise Problem(413, "too_many", f"more than {self.most} files in one set")
        name = options[b"filename"].decode("utf-8", "replace")
        place = self.folder / f"n{len(self.found):05}"
        place.mkdir(mode=0o700)
        path = place / harmless(name)
        self._out = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        self.found.append(Upload(name=re.split(r"[/\\]", name)[-1], path=path))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._out is not None:
            self._out.write(data[start:end])

    def _complete(self) -> None:
        self._whole = True

    def _end(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None
