"""Where one looks in a picture: zoom and place, the same in every picture of a group. Values only."""

from __future__ import annotations

from dataclasses import dataclass

ZOOMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of a picture, in shares of its width and height."""

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

    def moved(self, dx: float, dy: float, grow: float) -> Box:
        """Shifted and grown, kept inside the picture."""
        width, height = min(1.0, self.width * (1 + grow)), min(1.0, self.height * (1 + grow))
        left = max(0.0, min(1 - width, self.left + dx))
        return Box(left=left, top=max(0.0, min(1 - height, self.top + dy)), width=width, height=height)


WHOLE = Box(left=0.0, top=0.0, width=1.0, height=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Zoom 1 shows the whole picture; x, y is the centre of what is seen, in shares."""

    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5

    def window(self) -> Box:
        side = 1 / self.zoom
        return Box(left=self.x - side / 2, top=self.y - side / 2, width=side, height=side)

    def of(self, place: Box) -> Box:
        """What of this view a picture that lies at `place` covers, in shares of the view."""
        window = self.window()
        left, top = max(window.left, place.left), max(window.top, place.top)
        right, bottom = min(window.right, place.right), min(window.bottom, place.bottom)
        return Box(
            left=(left - window.left) / window.width,
            top=(top - window.top) / window.height,
            width=max(0.0, right - left) / window.width,
            height=max(0.0, bottom - top) / window.height,
        )

    def zoomed(self, steps: int) -> View:
        """`steps` stops nearer (or further, when negative), around the same centre."""
        index = min(range(len(ZOOMS)), key=lambda i: abs(ZOOMS[i] - self.zoom)) + steps
        return self._at(ZOOMS[max(0, min(len(ZOOMS) - 1, index))], self.x, self.y)

    def panned(self, dx: int, dy: int) -> View:
        """A quarter of what is seen to the right and down."""
        step = 0.25 / self.zoom
        return self._at(self.zoom, self.x + dx * step, self.y + dy * step)

    @staticmethod
    def _at(zoom: float, x: float, y: float) -> View:
        """Kept inside the picture."""
        half = 0.5 / zoom
        return View(zoom=zoom, x=max(half, min(1 - half, x)), y=max(half, min(1 - half, y)))


FULL = View()
