"""Decodes JPEGs small on a graphics card instead of the CPU, when the owner asked for it (`gpu_decode`).

Owns the gate: the first photos are decoded both ways, and the card is used alone only when it gives the same
pictures as the CPU. Files that a card may decode differently, and those where it fails, go to the CPU. Scaling is
that of libjpeg: the mean of each block. Must never decide that a file is broken. Worker process only.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from dedupd.adapters.vision.accelerators import ALL, allow, take, torch_cards
from dedupd.adapters.vision.child import say
from dedupd.adapters.vision.hashes import phashes

_TRIAL = 16
"""Photos that are decoded both ways before a card is trusted."""
_MOST_APART, _MOST_BITS = 1.5, 2
"""Largest differences that rounding and another colour filter explain: grey levels on average, bits of a hash."""
_FAILURES = 3
"""Failures in a row, after which the card is not used any more."""
_END = b"\xff\xd9"
_LEAST_COSINE = 0.995

DecodeOnCard = Callable[[bytes, int], NDArray[np.uint8]]
"""(file, scale) -> (H / scale, W / scale, 3), rounded up. Raises whatever a driver raises."""


class _Embeds(Protocol):
    @property
    def side(self) -> int: ...

    def prepare(self, image: Image.Image) -> NDArray[Any]: ...

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]: ...


class CardJpegs:
    """One card's decoder, with what is known of it so far. Used by one thread."""

    def __init__(self, decode: DecodeOnCard) -> None:
        self._decode = decode
        self._alike = self._failed = 0
        self._refused = False

    @property
    def trusted(self) -> bool:
        """Whether its pictures are taken as they are."""
        return self._alike >= _TRIAL and not self._refused

    def shrunk(self, image: Image.Image, file: BinaryIO, scale: int) -> Image.Image | None:
        """The picture of `file`, opened as `image`, in this scale; None: let the processor decode it."""
        if self._refused or scale < 2 or not _ordinary(image):
            return None
        file.seek(-len(_END), os.SEEK_END)
        if file.read() != _END:  # what is cut short is for the processor to refuse
            return None
        file.seek(0)
        try:
            pixels = self._decode(file.read(), scale)
        except Exception as error:  # noqa: BLE001
            # Whatever a driver raises: the processor finds out whether the file is to blame.
            self._failed += 1
            if self._failed >= _FAILURES:
                self._refuse(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
            return None
        self._failed = 0
        return Image.fromarray(pixels)

    def compare(self, ours: Image.Image, usual: Image.Image) -> None:
        """Judge what the card gave by what the processor gave for the same photo."""
        if not pictures_alike(ours, usual):
            self._refuse("it gives other pictures than the processor")
        self._alike += 1

    def _refuse(self, why: str) -> None:
        if not self._refused:
            self._refused = True
            say(f"the card decodes no photos any more ({why}): the processor does")


def _ordinary(image: Image.Image) -> bool:
    """Of three channels, baseline, in the colours that every decoder takes them for."""
    return (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        and (image.format, image.mode, image.layers) == ("JPEG", "RGB", 3)
        and not image.info.get("progressive")
        and image.info.get("adobe_transform", 1) == 1
    )


def pictures_alike(ours: Image.Image, usual: Image.Image) -> bool:
    """Whether the two are one picture, but for rounding."""
    if ours.size != usual.size:
        return False
    apart = np.abs(np.asarray(ours, np.int16) - np.asarray(usual, np.int16)).mean()
    bits = np.bitwise_count(phashes(ours)[0] ^ phashes(usual)[0])
    return bool(apart <= _MOST_APART and bits <= _MOST_BITS)


def decode_made_up(decode: DecodeOnCard) -> list[NDArray[np.uint8]]:
    """What a card gives for generated photos: the same for all cards. Raises whatever a driver raises."""
    return [decode(_made_up(seed), 4) for seed in range(2)]


def gives_the_same_vectors(decoded: Sequence[memoryview], embedder: _Embeds | None) -> bool:
    """Whether what a card gave for generated photos, as RGB, is what the processor gives, to this embedder too."""
    for seed, rgb in enumerate(decoded):
        with Image.open(io.BytesIO(_made_up(seed))) as image:
            image.draft(None, (image.width // 4, image.height // 4))
            usual = image.convert("RGB")
        if rgb.nbytes != 3 * usual.width * usual.height:
            return False
        ours = Image.frombytes("RGB", usual.size, rgb)
        if not pictures_alike(ours, usual):
            return False
        if embedder is not None:
            one, other = embedder.embed(np.stack([embedder.prepare(each) for each in (ours, usual)]))
            if not float(one @ other) >= _LEAST_COSINE:
                return False
    return True


def decoding_cards() -> list[str]:
    """The allowed cards of CUDA. Nothing is asked of them in this process."""
    try:
        import torch

        return [card for card in torch_cards(torch) if card.startswith("cuda")]
    except Exception as error:  # noqa: BLE001
        # Whatever keeps a broken installation from being imported.
        say(f"no card decodes photos ({type(error).__name__}): the processor does")
        return []


@cache
def _made_up(seed: int) -> bytes:
    """A photo of smooth things and grain, of a size that no block divides."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    scene = np.asarray(coarse.resize((805, 603), Image.Resampling.BICUBIC), np.float32)
    grain = rng.normal(0, 6, scene.shape[:2]).astype(np.float32)[..., None]
    written = io.BytesIO()
    Image.fromarray(np.clip(scene + grain, 0, 255).astype(np.uint8)).save(written, "JPEG", quality=90)
    return written.getvalue()


def decoder_on(card: str, memory: float) -> DecodeOnCard:
    """This card, with this share of its memory, for this process. Raises whatever a broken installation raises."""
    import torch

    allow(ALL, memory)
    take(torch, card)
    return torchvision_decoder(card)


def torchvision_decoder(device: str) -> DecodeOnCard:
    """nvJPEG by torchvision, on this device. Raises ImportError, or what a broken installation raises.

    torchvision 0.29 has it deprecated in favour of TorchCodec; it is asked nothing else.
    """
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    def decode(data: bytes, scale: int) -> NDArray[np.uint8]:
        with torch.inference_mode():
            raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            pixels: Any = decode_jpeg(raw, mode=ImageReadMode.RGB, device=device)
            height, width = pixels.shape[1:]
            whole = torch.nn.functional.pad(
                pixels[None].float(), (0, -width % scale, 0, -height % scale), mode="replicate"
            )
            small = torch.nn.functional.avg_pool2d(whole, scale)[0].round().clamp(0, 255)
            return np.asarray(small.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy(), np.uint8)

    return decode
