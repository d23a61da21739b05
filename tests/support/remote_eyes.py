"""Services for tests, in this process, on a free port of loopback: the real one, and one that says what it is told to."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.shapes import shape_of
from dedupd.config import authority
from dedupd.embedding_service.routes import EmbeddingService, Guard
from dedupd.web.access_control import site_of
from dedupd.web.listening import Listen, at_port_of, bound, configured
from dedupd.web.tokens import Tokens


class TinyEmbedder:
    """Sixteen colours as a vector: quick, and exact for a picture."""

    side, dimensions, note = 32, 48, "numpy"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, image: Image.Image) -> NDArray[Any]:
        return np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.uint8)

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        self.batches.append(len(batch))
        flat = (
            batch.reshape(len(batch), 4, 8, 4, 8, 3).mean((2, 4)).reshape(len(batch), -1).astype(np.float32)
            - 127
        )
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


@contextlib.contextmanager
def served(embedder: TinyEmbedder, model: str = "tiny/1", token: str = "", port: int = 0) -> Iterator[str]:
    """The real service; its address."""
    shape = shape_of(embedder)
    assert shape is not None
    service = EmbeddingService(embedder, model, shape)
    with bound(Listen(address="127.0.0.1", port=port)) as door:
        at = at_port_of(door, Listen(address="127.0.0.1", port=port))
        app = Guard(service.app(), site_of(at.address, at.port, tls=False), Tokens(token) if token else None)
        server = uvicorn.Server(configured(app, at))
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        thread = threading.Thread(target=server.run, args=([door],))
        thread.start()
        try:
            yield at.url
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Scripted:
    """A server that answers as `say(path, body)` tells it: (status, headers, body)."""

    say: Callable[[str, bytes], tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, answer = script.say(self.path, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextlib.contextmanager
def proxied(folder: Path, url: str, to: str) -> Iterator[None]:
    """A socket in `folder` that stands for the address of `url` and leads to that of `to`, as systemd's proxy makes it."""
    target = ("127.0.0.1", urlsplit(to).port or 0)
    lines = list[socket.socket]()

    def pass_on(given: socket.socket, taken: socket.socket) -> None:
        with contextlib.suppress(OSError), given.makefile("rb", 0) as one, taken.makefile("wb", 0) as other:
            shutil.copyfileobj(one, other, 4096)
            taken.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near = door.accept()[0]
                far = socket.socket()
                far.connect(target)
                lines.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / authority(url)))
        door.listen()
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            door.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for line in lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                line.close()
