"""What every embedder offers: its names, its models, and pictures to vectors.

Owns the types that embedders and registry share; must never know a certain embedder. Light to import, as each
embedder's file is, because the daemon reads names too. Heavy libraries are imported where a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from dedupd.core.thresholds import shipped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of an embedder, by name; nothing of it is loaded yet."""

    id: str
    """The id in rows and in the ledger; '' = hashes alone."""
    family: str
    """The name of the embedder that loads it; 'hashes': no embedder."""
    name: str = ""
    """The embedder's name of the architecture."""
    pretrained: str = ""
    """Tag of the weights, or '' with `checkpoint`."""
    checkpoint: str = ""
    """Absolute path of a local checkpoint."""
    digest: str = ""
    """The first digits of the checkpoint's BLAKE3; '' until `choose` has read the file."""
    near_cosine: float | None = 0.80
    """Candidate bar on the cosine of two photos of one month; None without vectors. This default, for models
    not measured on labelled photos, is high enough that the review list stays readable."""
    far_cosine: float | None = 0.90
    """Candidate bar across the whole index, where unrelated pairs outnumber related ones a million times."""

    @property
    def calibrated(self) -> bool:
        """Whether its cosine was measured on labelled photos: then dedupd ships thresholds for it."""
        return shipped(self.id)

    @property
    def full_name(self) -> str:
        """timm's name of architecture and weights."""
        return f"{self.name}.{self.pretrained}" if self.pretrained else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListing:
    """One line of `dedupd models`."""

    model: Model
    available: bool
    """Whether it could run now without a download."""
    note: str
    when_chosen: str = ""
    """What people read when 'auto' chose it."""


Fit = Literal["squash", "crop"]
Resample = Literal["bicubic", "bilinear", "lanczos"]
FITS: tuple[Fit, ...] = get_args(Fit)
RESAMPLES: tuple[Resample, ...] = get_args(Resample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What goes into a model and what comes out, for those who make its pictures without it (vision/shapes.py)."""

    side: int
    """Px of the square picture that it takes."""
    fit: Fit
    """How a photo becomes a square: squashed, or its middle cropped."""
    resample: Resample
    dimensions: int


class Embedder(Protocol):
    """Pictures to unit vectors."""

    side: int
    """Short side (px) that the decoded picture should have at least."""
    dimensions: int

    @property
    def note(self) -> str:
        """Which engine runs it, for people."""
        ...

    def prepare(self, image: Image.Image) -> NDArray[Any]:
        """One RGB picture as the array that `embed` stacks. Called from several threads."""
        ...

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """(N, dimensions) unit vectors of N stacked prepared pictures; called from several threads where many cores are used."""
        ...


@runtime_checkable
class TakesMuch(Protocol):
    """An embedder that knows how much to give it at once."""

    batch: int
    """Pictures; 0: as the settings say."""
    lanes: int
    """Batches at the same time; 0: as many as suit the processor."""


class OnCard(Protocol):
    """A network on a graphics card, in a process that uses this card alone."""

    told: str
    """How it computes there, for people."""
    at_once: int
    """Pictures that the card's memory takes, as far as is known by now."""

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """A row for each prepared picture; raises whatever a driver raises, also when not even one picture fits."""
        ...


def _nothing() -> Sequence[ModelListing]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderFamily:
    """An embedder as its file declares it, under the name EMBEDDER."""

    name: str
    """The first word of its models' names in settings: 'timm' in 'timm:NAME.TAG'."""
    spellings: tuple[str, ...]
    """How its models are named, for messages."""
    parse: Callable[[str], Model | None]
    """The model that a setting or a recorded id names; None: it is no name of this embedder."""
    load: Callable[[Model, Path], Embedder]
    """(model, cache folder) -> the embedder. Slow: seconds; worker process only. VisionError in one sentence."""
    listings: Callable[[], Sequence[ModelListing]] = _nothing
    """The models that it knows by name; the first is the one that 'auto' means."""
    auto: int | None = None
    """Its place in the order that 'auto' tries; None: never tried."""
    settle: Callable[[Model], Model] | None = None
    """The same model, with what its name leaves open filled in. Worker process only; raises VisionError. None: a name
    leaves nothing open."""
    for_cards: bool = False
    """Whether a graphics card makes it faster."""
    on_card: Callable[[Model, Path, str], OnCard] | None = None
    """(model, cache folder, card) -> its network there. Only in a process of that card; raises whatever a driver raises."""
    shape: Shape | None = None
    """The shape, when it is the same for all of its models and known without loading one."""
    to_onnx: Callable[[Model, Path], bytes] | None = None
    """(model, cache folder) -> ONNX from "pictures" (N, side, side, 3) uint8 to "vectors" (N, dimensions) of length 1."""
    fetch: Callable[[Model], None] | None = None
    """Download the weights of a model into the hub's cache; called in the child process of fetch.py. None:
    nothing to download."""


def from_checkpoint(family: str, setting: str) -> Model | None:
    """The model of `FAMILY:NAME@/path/to/checkpoint`, with `#digest` after it once recorded; None for another
    spelling."""
    owner, _, rest = setting.partition(":")
    name, at, place = rest.partition("@")
    checkpoint, _, digest = place.partition("#")
    if owner != family or not at or not name or not Path(checkpoint).is_absolute():
        return None
    return Model(id=setting, family=family, name=name, checkpoint=checkpoint, digest=digest)
