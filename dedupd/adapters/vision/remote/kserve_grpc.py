"""Open Inference Protocol v2 over gRPC: its few messages, and a client of one server.

Owns how gRPC is called, each call with a deadline; the only module that imports grpc. Must never use a proxy,
resolve any address but the one it was given, or accept a message of an impossible size. The messages are
those of the published grpc_predict_v2.proto, as far as they are used, with its field numbers: Triton's own
client would bring the same, together with a protobuf older than the one the libraries here need.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.remote.endpoints import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    RemoteBusy,
    RemoteFailure,
    RemoteLate,
    RemoteRefusal,
    printable,
    proxy_to,
)
from dedupd.adapters.vision.remote.kserve import INPUT, OUTPUT, ModelMetadata, Tensor, rows_in
from dedupd.errors import VisionError

SERVICE = "inference.GRPCInferenceService"
_MOST = 4 << 20
"""Bytes of one answer, at most: sixty-four vectors of a large model are half of it."""
_MESSAGES: dict[str, tuple[str, ...]] = {
    "RepositoryIndexRequest": (),
    "ModelIndex": ("1 name string",),
    "RepositoryIndexResponse": ("1 models *ModelIndex",),
    "ModelMetadataRequest": ("1 name string",),
    "TensorMetadata": ("1 name string", "2 datatype string", "3 shape *int64"),
    "ModelMetadataResponse": ("1 name string", "4 inputs *TensorMetadata", "5 outputs *TensorMetadata"),
    "InferInputTensor": ("1 name string", "2 datatype string", "3 shape *int64"),
    "InferRequestedOutputTensor": ("1 name string",),
    "ModelInferRequest": (
        "1 model_name string", "5 inputs *InferInputTensor", "6 outputs *InferRequestedOutputTensor",
        "7 raw_input_contents *bytes",
    ),
    "InferTensorContents": ("6 fp32_contents *float",),
    "InferOutputTensor": (
        "1 name string", "2 datatype string", "3 shape *int64", "5 contents InferTensorContents",
    ),
    "ModelInferResponse": (
        "1 model_name string", "5 outputs *InferOutputTensor", "6 raw_output_contents *bytes",
    ),
}  # fmt: skip
"""Number, name and type of each field; * for a repeated one."""


@lru_cache(maxsize=1)
def messages() -> dict[str, Any]:
    """The class of each message, in a separate pool: Triton's client may be loaded in the same process."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="dedupd/grpc_predict_v2.proto", package="inference", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in (each.split() for each in fields):
            one = message.field.add(name=field, number=int(number))
            one.label = one.LABEL_REPEATED if kind[0] == "*" else one.LABEL_OPTIONAL
            if (kind := kind.lstrip("*")) in _MESSAGES:
                one.type, one.type_name = one.TYPE_MESSAGE, f".inference.{kind}"
            else:
                one.type = getattr(one, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = (pool.FindMessageTypeByName(f"inference.{name}") for name in _MESSAGES)
    return {each.name: message_factory.GetMessageClass(each) for each in found}


class KServeOverGrpc:
    """A client of one server. Thread-safe."""

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        """Raises VisionError: gRPC is not installed, or the address or the certificates cannot be used."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what fails is told in our words
        try:
            import grpc
        except ImportError:
            raise VisionError(
                'embedding.protocol "kserve-grpc" needs what this installation lacks: '
                "pip install 'dedupd[triton]'"
            ) from None
        self.url, self._grpc = url.rstrip("/"), grpc
        at = urlsplit(self.url)
        if at.path:
            raise VisionError(f"embedding.url {url}: gRPC has an address and a port, and no path")
        try:
            proxy = proxy_to(self.url)
        except RemoteFailure as failure:
            raise VisionError(str(failure)) from None
        self._said = (("authorization", f"Bearer {token}"),) if token else ()
        target = _target(at.hostname or "", at.port or (443 if at.scheme == "https" else 80))
        options = _OPTIONS
        if proxy:
            options = (
                *_OPTIONS,
                ("grpc.default_authority", at.netloc),
                ("grpc.ssl_target_name_override", at.hostname or ""),
            )
            target = f"unix:{proxy}"
        if at.scheme == "https":
            trusted = grpc.ssl_channel_credentials(root_certificates=_certificates(ca_file))
            self._channel = grpc.secure_channel(target, trusted, options)
        else:
            self._channel = grpc.insecure_channel(target, options)

    def models(self) -> Sequence[str]:
        answer = self._ask("RepositoryIndex", messages()["RepositoryIndexRequest"]())
        return [each.name for each in answer.models]

    def describe(self, name: str) -> ModelMetadata | None:
        answer = self._ask("ModelMetadata", messages()["ModelMetadataRequest"](name=name))
        return ModelMetadata(
            name=answer.name, inputs=_tensors(answer.inputs), outputs=_tensors(answer.outputs)
        )

    def infer(self, name: str, pictures: NDArray[np.uint8], dimensions: int) -> NDArray[np.float32]:
        known = messages()
        request = known["ModelInferRequest"](
            model_name=name,
            inputs=[known["InferInputTensor"](name=INPUT, datatype="UINT8", shape=pictures.shape)],
            outputs=[known["InferRequestedOutputTensor"](name=OUTPUT)],
            raw_input_contents=[np.ascontiguousarray(pictures).tobytes()],
        )
        answer = self._ask("ModelInfer", request)
        try:
            return rows_in(
                _raw(answer), answer.model_name, _tensors(answer.outputs), name, len(pictures), dimensions
            )
        except ValueError as error:
            raise RemoteRefusal(f"{self.url} answers what cannot be right: {error}") from None

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _ask(self, method: str, request: Any) -> Any:
        """The answer to one call. Raises RemoteFailure."""
        from google.protobuf.message import DecodeError

        call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            said = call(request.SerializeToString(), timeout=ANSWER_SECONDS, metadata=self._said)
            return messages()[f"{method}Response"].FromString(said)
        except self._grpc.RpcError as error:
            raise self._failure(error) from None
        except DecodeError:
            raise RemoteRefusal(f"{self.url} answers what is no message of this protocol") from None

    def _failure(self, error: Any) -> RemoteFailure:
        code, details = self._grpc.StatusCode, printable(error.details() or "")
        told = f"{self.url} answers {error.code().name}{f': {details}' if details else ''}"
        match error.code():
            case code.DEADLINE_EXCEEDED:
                return RemoteLate(f"{self.url} did not answer within {ANSWER_SECONDS:.0f} s")
            case code.RESOURCE_EXHAUSTED if "larger than max" in details:
                return RemoteRefusal(f"{self.url} answers more than {_MOST} bytes, which cannot be right")
            case code.RESOURCE_EXHAUSTED:
                return RemoteBusy(told)
            case code.UNAUTHENTICATED | code.PERMISSION_DENIED | code.UNIMPLEMENTED:
                return RemoteRefusal(told)
            case code.UNAVAILABLE:
                return RemoteFailure(f"{self.url} does not answer ({details})")
            case _:
                return RemoteFailure(told)


_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),  # it would be looked up by name
    ("grpc.enable_retries", 0),  # endpoints.py knows when to ask again
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a small message could hide a large one
    ("grpc.max_receive_message_length", _MOST),
    ("grpc.max_send_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
)


def _target(host: str, port: int) -> str:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return f"dns:///{host}:{port}"
    return f"ipv4:{host}:{port}" if version == 4 else f"ipv6:[{host}]:{port}"


def _certificates(ca_file: str) -> bytes | None:
    """The trusted certificates; without a file the system's, as over HTTP. Raises VisionError."""
    path = ca_file or ssl.get_default_verify_paths().cafile
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise VisionError(f"embedding.ca_file {path} cannot be used ({error.strerror})") from None


def _tensors(said: Any) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=each.name, datatype=each.datatype, shape=tuple(each.shape)) for each in said)


def _raw(answer: Any) -> bytes:
    """The numbers of the one output, which a server may send as raw memory or as a list."""
    if answer.raw_output_contents:
        return b"".join(answer.raw_output_contents)
    return b"".join(np.asarray(each.contents.fp32_contents, "<f4").tobytes() for each in answer.outputs)
