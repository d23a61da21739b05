"""Photos itself, through photoscript: the one album that dedupd makes there.

The only module that imports photoscript. Must never delete anything in Photos, nor let photoscript do it:
there, a photo is removed from an album by deleting the album. Nor may Photos be killed, which photoscript
does when Photos answers slowly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Protocol, cast

from dedupd.errors import PhotosError, UsageError


class _Photo(Protocol):
    uuid: str


class _Album(Protocol):
    def photos(self) -> Sequence[_Photo]: ...

    def add(self, photos: Sequence[_Photo]) -> object: ...


class _Library(Protocol):
    def album(self, name: str) -> _Album | None: ...

    def create_album(self, name: str) -> object: ...


class _PhotoScript(Protocol):
    AppleScriptError: type[Exception]

    def PhotosLibrary(self) -> _Library: ...

    def Photo(self, uuid: str) -> _Photo: ...


class PhotosApp:
    """The library that Photos has open."""

    def __init__(self) -> None:
        """Starts Photos. Raises UsageError without photoscript, PhotosError when Photos does not answer."""
        try:
            module = import_module("photoscript")
            loader = import_module("photoscript.script_loader")
        except ModuleNotFoundError:
            raise UsageError("photoscript is not installed: pip install 'dedupd[photos]'") from None
        _without_killing(loader)
        self._script = cast("_PhotoScript", module)
        self._errors = (self._script.AppleScriptError, ValueError)
        try:
            self._library = self._script.PhotosLibrary()
        except self._errors as error:
            raise _told(error) from None

    def members(self, album: str) -> set[str] | None:
        """The photos in the album; None when there is no album. Raises PhotosError."""
        try:
            found = self._library.album(album)
            return None if found is None else {photo.uuid for photo in found.photos()}
        except self._errors as error:
            raise _told(error) from None

    def create(self, album: str) -> None:
        """Make an empty album. Raises PhotosError."""
        try:
            self._library.create_album(album)
        except self._errors as error:
            raise _told(error) from None

    def add(self, album: str, uuids: Iterable[str]) -> None:
        """Ask Photos to add these; `members` then shows whether it did. Raises PhotosError."""
        try:
            found = self._library.album(album)
            if found is None:
                raise PhotosError(f"the album {album} is not there any more")
            found.add([self._script.Photo(uuid) for uuid in uuids])
        except self._errors as error:
            raise _told(error) from None


def _without_killing(loader: ModuleType) -> None:
    """photoscript kills Photos when an answer takes long, and asks again: this is switched off."""
    loader.configure_run_script(retry_enabled=False)


def _told(error: Exception) -> PhotosError:
    return PhotosError(
        f"Photos did not do what it was asked ({error}): is the right library open, and may your terminal control Photos "
        "(System Settings, Privacy & Security, Automation)?"
    )
