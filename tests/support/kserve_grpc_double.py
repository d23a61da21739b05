"""A gRPC server of one model for tests, in this process: answers as `infer` and its own words tell it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

from dedupd.adapters.vision.remote.kserve_grpc import SERVICE, messages

Infer = Callable[[Any], bytes]


def outputs(rows: Any, **changes: Any) -> bytes:
    """An answer that holds these rows."""
    known = messages()
    said = {"name": "vectors", "datatype": "FP32", "shape": rows.shape} | changes.pop("tensor", {})
    raw = [rows.astype("<f4").tobytes()]
    answer = {"model_name": "", "raw_output_contents": raw} | changes
    return known["ModelInferResponse"](
        outputs=[known["InferOutputTensor"](**said)], **answer
    ).SerializeToString()


@dataclass
class GrpcDouble:
    """Raises what a test sets in `fails`; notes the metadata of each call."""

    infer: Infer
    name: str
    side: int
    dimensions: int
    fails: tuple[grpc.StatusCode, str] | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
        """Its address."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        handlers = {name: self._handler(name, say) for name, say in self._says().items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        place = "127.0.0.1:0"
        port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
        server.start()
        try:
            yield f"{'https' if credentials else 'http'}://127.0.0.1:{port}"
        finally:
            server.stop(None).wait()

    def _handler(self, name: str, say: Callable[[bytes], bytes]) -> grpc.RpcMethodHandler:
        def answer(body: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked.append((name, dict(context.invocation_metadata())))
            if self.fails is not None:
                context.abort(*self.fails)
            return say(body)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _says(self) -> dict[str, Callable[[bytes], bytes]]:
        known = messages()

        def index(body: bytes) -> bytes:
            names = ("densenet", self.name)
            return known["RepositoryIndexResponse"](
                models=[known["ModelIndex"](name=name) for name in names]
            ).SerializeToString()

        def metadata(body: bytes) -> bytes:
            tensor = known["TensorMetadata"]
            return known["ModelMetadataResponse"](
                name=self.name,
                inputs=[tensor(name="pictures", datatype="UINT8", shape=[-1, self.side, self.side, 3])],
                outputs=[tensor(name="vectors", datatype="FP32", shape=[-1, self.dimensions])],
            ).SerializeToString()

        def infer(body: bytes) -> bytes:
            return self.infer(known["ModelInferRequest"].FromString(body))

        return {"RepositoryIndex": index, "ModelMetadata": metadata, "ModelInfer": infer}
