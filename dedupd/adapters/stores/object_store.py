"""A bucket of an object store that speaks S3, through pyarrow's own client.

The only part of dedupd that opens a connection for pictures, and only when its owner named such an address.
Host and account come from the address (`?endpoint_override=HOST:PORT&scheme=http&region=…`) and from the
usual AWS_… variables.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyarrow import fs

from dedupd.adapters.fs.walk import looked_at
from dedupd.adapters.stores.found import Found, OnProblem
from dedupd.core.foreign import Scope
from dedupd.core.settling import passed_over
from dedupd.errors import UsageError

_PART = 8 << 20


class ObjectStore:
    """Everything below one prefix of one bucket."""

    def __init__(self, address: str) -> None:
        self.address, self.shown = address, address.partition("?")[0].rstrip("/")
        try:
            self._files, path = fs.FileSystem.from_uri(address)
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.shown} cannot be reached: {str(error).splitlines()[0][:200]}") from None
        self._top = path.rstrip("/")

    def pictures(self, scope: Scope, on_problem: OnProblem) -> Iterator[Found]:
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            found = self._files.get_file_info(fs.FileSelector(self._path(folder)))
            below: list[str] = []
            for each in sorted(found, key=_name_of):
                name = f"{folder}/{each.base_name}" if folder else str(each.base_name)
                if each.type == fs.FileType.Directory:
                    below += [name] if looked_at(name, scope) else []
                elif each.type == fs.FileType.File and each.base_name and not passed_over(each.base_name):
                    yield Found(name=name, size=each.size or 0, version=each.mtime_ns or 0)
            waiting += reversed(below)

    def read(self, name: str, most: int = -1, alive: Callable[[], None] = lambda: None) -> bytes:
        parts: list[bytes] = []
        with self._files.open_input_stream(self._path(name)) as stream:
            if most >= 0:
                return stream.read(most)
            while part := stream.read(_PART):
                parts.append(part)
                alive()
        return b"".join(parts)

    def write(self, name: str, data: bytes) -> None:
        with self._files.open_output_stream(self._path(name)) as stream:
            stream.write(data)

    def sizes(self, folder: str) -> dict[str, int]:
        found = self._files.get_file_info(fs.FileSelector(self._path(folder), allow_not_found=True))
        return {each.base_name: each.size or 0 for each in found if each.type == fs.FileType.File}

    def empty(self) -> bool:
        return not self._files.get_file_info(fs.FileSelector(self._top, allow_not_found=True))

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}" if name else self._top


def _name_of(info: Any) -> str:
    return str(info.base_name)
