"""The part of a picture that is shown: zoom and position, the same for every picture of a group.

Values only. Must never import Textual or do I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

ZOOM_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A rectangle in a picture, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def shifted(self, dx: float, dy: float, grow: float) -> Area:
        """Shifted and enlarged, kept inside the picture."""
        width, height = min(1.0, self.width * (1 + grow)), min(1.0, self.height * (1 + grow))
        left = max(0.0, min(1 - width, self.left + dx))
        return Area(left=left, top=max(0.0, min(1 - height, self.top + dy)), width=width, height=height)


WHOLE = Area(left=0.0, top=0.0, width=1.0, height=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewport:
    """Zoom 1 shows the whole picture; x, y is the centre of the part that is shown, in fractions of the picture."""

    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5

    def window(self) -> Area:
        """The part of the picture that is shown."""
        side = 1 / self.zoom
        return Area(left=self.x - side / 2, top=self.y - side / 2, width=side, height=side)

    def covered_by(self, place: Area) -> Area:
        """The part of this viewport that a picture at `place` covers, in fractions of the viewport."""
        window = self.window()
        left, top = max(window.left, place.left), max(window.top, place.top)
        right, bottom = min(window.right, place.right), min(window.bottom, place.bottom)
        return Area(
            left=(left - window.left) / window.width,
            top=(top - window.top) / window.height,
            width=max(0.0, right - left) / window.width,
            height=max(0.0, bottom - top) / window.height,
        )

    def zoomed(self, steps: int) -> Viewport:
        """Zoomed in by `steps` (out, when negative) around the same centre."""
        index = min(range(len(ZOOM_STEPS)), key=lambda i: abs(ZOOM_STEPS[i] - self.zoom)) + steps
        return self._inside(ZOOM_STEPS[max(0, min(len(ZOOM_STEPS) - 1, index))], self.x, self.y)

    def panned(self, dx: int, dy: int) -> Viewport:
        """Moved right and down, each step by a quarter of what is shown."""
        step = 0.25 / self.zoom
        return self._inside(self.zoom, self.x + dx * step, self.y + dy * step)

    @staticmethod
    def _inside(zoom: float, x: float, y: float) -> Viewport:
        """A viewport that is kept inside the picture."""
        half = 0.5 / zoom
        return Viewport(zoom=zoom, x=max(half, min(1 - half, x)), y=max(half, min(1 - half, y)))


UNZOOMED = Viewport()
