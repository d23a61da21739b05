"""The process of `dedupd serve-embed`: loads the model, then listens. Started by the command, in the worker's
environment.

Must never write anywhere but into the cache and the token file, nor keep running without a model.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from pathlib import Path

from dedupd.adapters.vision.accelerators import allow
from dedupd.adapters.vision.embedders.base import TakesMuch
from dedupd.adapters.vision.embedders.registry import choose, load, settle
from dedupd.adapters.vision.remote.wire import MOST_SIDE, identity
from dedupd.adapters.vision.shapes import shape_of
from dedupd.cli.console import answer, deliver, tell
from dedupd.embedding_service.routes import EmbeddingService, Guard
from dedupd.errors import DedupdError, UsageError
from dedupd.web.access_control import site_of
from dedupd.web.listening import Listen, at_port_of, bound, listen_on, serve_on
from dedupd.web.tokens import Tokens, token_of

_GPU_WINDOW = 0.005
"""Seconds that a batch waits for more pictures; a GPU takes hardly longer for sixty pictures than for one."""


def serve(name: str, cache: Path, listen: Listen, token_file: Path | None) -> None:
    """Serve until SIGINT or SIGTERM. Raises UsageError, VisionError."""
    tokens = Tokens(token_of(token_file)) if token_file else None
    with bound(listen) as socket_:
        chosen, note = choose(name)
        model = settle(chosen)
        embedder = load(model, cache)
        if embedder is None:
            raise UsageError(
                f"there is nothing to serve ({note or 'hashes need no model'}): name another --model"
            )
        shape = shape_of(embedder)
        if shape is None or shape.side > MOST_SIDE:
            raise UsageError(
                f"{model.id} makes its pictures in a way of its own: it can only see where the photos are"
            )
        at = at_port_of(socket_, listen)
        on_gpu = isinstance(embedder, TakesMuch) and embedder.lanes > 0
        service = EmbeddingService(embedder, identity(model), shape, window=_GPU_WINDOW if on_gpu else 0.0)
        site = site_of(at.address, at.port, tls=at.tls_cert is not None)

        def opened(at: Listen) -> None:
            answer(f"{at.url} sees with {model.id}, by {embedder.note}")
            tell(
                f"The token lies in {token_file}."
                if token_file
                else "Only programs on this machine are answered."
            )
            deliver()

        serve_on(socket_, at, Guard(service.app(), site, tokens), opened)


def main() -> int:
    """Returns dedupd's exit codes."""
    parser = argparse.ArgumentParser(prog="dedupd serve-embed")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--gpus", required=True)
    parser.add_argument("--gpu-memory-fraction", type=float, required=True)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--insecure-lan", action="store_true")
    asked = parser.parse_args()
    try:
        listen = listen_on(
            asked.listen, tls_cert=asked.tls_cert, tls_key=asked.tls_key, insecure_lan=asked.insecure_lan
        )
        if asked.token_file is None and not ipaddress.ip_address(listen.address).is_loopback:
            raise UsageError(f"{listen.address} can be reached from other machines: name a --token-file")
        allow(asked.gpus, asked.gpu_memory_fraction)
        serve(asked.model, asked.cache, listen, asked.token_file)
    except DedupdError as error:
        tell(f"dedupd: {error}")
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
