"""Converts a network of torch to an ONNX graph, for servers.

Owns the conversion only; the caller (remote/triton.py) compares the graph with the network. Must never run
with random weights. Runs in a process of its own, because torch stays in a process's memory.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedBaseClass=false
from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image

from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.engines.torch_engine import loaded
from dedupd.errors import VisionError

_OPSET = 18


def to_onnx(
    model: Model, load: Callable[[Model], tuple[Any, Any, int]], features: Callable[[Any, Any], Any]
) -> bytes:
    """A graph from "pictures" (N, S, S, 3) uint8 to "vectors" (N, D) of length 1, N open. `load`, `features`:
    as for TorchEmbedder.

    In full precision, whatever runs it here: the server may reduce it. Raises VisionError.
    """
    torch, network, preprocess, side = loaded(model, load)
    # The model's own preprocessing of black and of white shows its normalisation.
    black, white = (
        preprocess(Image.new("RGB", (side, side), colour)).float()[:, :1, :1] for colour in ("black", "white")
    )

    class NetworkWithNormalisation(torch.nn.Module):
        """The network with its normalisation before it and the unit length after it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network.float().eval()
            self.register_buffer("black", black)
            self.register_buffer("step", (white - black) / 255)

        def forward(self, pictures: Any) -> Any:
            planes = pictures.permute(0, 3, 1, 2).float() * self.step + self.black
            vectors = features(self.network, planes)
            return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)

    written = io.BytesIO()
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operation for a whole block, which ONNX has not
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about shapes that are the same for all pictures, and its own age
            torch.onnx.export(
                NetworkWithNormalisation(), (torch.zeros((2, side, side, 3), dtype=torch.uint8),), written, dynamo=False,
                input_names=["pictures"], output_names=["vectors"], opset_version=_OPSET,
                dynamic_axes={"pictures": {0: "n"}, "vectors": {0: "n"}},
            )  # fmt: skip
    except Exception as error:  # noqa: BLE001
        # The type of the error depends on the network: an operation that ONNX lacks, two gigabytes and more.
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise VisionError(
            f"{model.id} cannot be written as ONNX ({type(error).__name__}: {first}): "
            "`dedupd serve-embed` serves it"
        ) from None
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return written.getvalue()
