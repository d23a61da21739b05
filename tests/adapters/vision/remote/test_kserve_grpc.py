"""KServe v2 over gRPC: the bytes are those of Triton's own client, lies give no vector, and failures are told in words."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("grpc")
import grpc

from dedupd.adapters.vision.embedders.base import Model, Shape
from dedupd.adapters.vision.remote import kserve, kserve_grpc
from dedupd.adapters.vision.remote.dialects import KServeDialect, dialect_for
from dedupd.adapters.vision.remote.endpoints import RemoteBusy, RemoteFailure, RemoteLate, RemoteRefusal
from dedupd.adapters.vision.remote.kserve_grpc import KServeOverGrpc, messages
from dedupd.config import PROXIES
from dedupd.errors import VisionError
from tests.support.certificate import SELF_MADE
from tests.support.kserve_grpc_double import GrpcDouble, outputs
from tests.support.remote_eyes import TinyEmbedder, proxied

SHAPE = Shape(side=32, fit="squash", resample="bicubic", dimensions=48)
MODEL = Model(id="open_clip:Tiny/v1", family="open_clip", name="Tiny", pretrained="v1")
NAME = kserve.model_name(MODEL, SHAPE)
PICTURES = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
Open = Callable[..., KServeOverGrpc]


@pytest.fixture
def opened() -> Iterator[Open]:
    services = list[KServeOverGrpc]()

    def one(*given: str) -> KServeOverGrpc:
        services.append(KServeOverGrpc(*given))
        return services[-1]

    yield one
    for service in services:
        service.close()


def seen(request: Any) -> bytes:
    """As a model of that name would see them."""
    (tensor,), (raw,) = request.inputs, request.raw_input_contents
    assert (request.model_name, tensor.name, tensor.datatype) == (NAME, "pictures", "UINT8")
    assert [each.name for each in request.outputs] == ["vectors"]
    rows = TinyEmbedder().embed(np.frombuffer(raw, np.uint8).reshape(tensor.shape))
    return outputs(rows, model_name=NAME)


def double(infer: Callable[[Any], bytes] = seen, **more: Any) -> GrpcDouble:
    return GrpcDouble(infer, more.pop("name", NAME), more.pop("side", 32), more.pop("dimensions", 48), **more)


def dialect(known: Shape | None = SHAPE) -> KServeDialect:
    return KServeDialect(MODEL, known, KServeOverGrpc)


def test_the_vectors_are_the_local_ones_and_the_token_goes_along(opened: Open) -> None:
    server = double()
    with server.running() as url:
        service = opened(url, "t" * 43)
        for known in (SHAPE, None):  # not known before: the name tells it
            assert dialect(known).describe(service) == SHAPE
        rows = dialect().embed(service, list(PICTURES), SHAPE)
    assert np.array_equal(rows, TinyEmbedder().embed(PICTURES))
    assert [name for name, _ in server.asked] == [
        "ModelMetadata",
        "RepositoryIndex",
        "ModelMetadata",
        "ModelInfer",
    ]
    assert {said["authorization"] for _, said in server.asked} == {f"Bearer {'t' * 43}"}


def test_messages_are_those_of_tritons_own_client() -> None:
    """Bytes that tritonclient 2.73.0 wrote: one picture of 2 x 2, and answers with the numbers (0.6, 0.8)."""
    known = messages()
    request = known["ModelInferRequest"](
        model_name="m", inputs=[known["InferInputTensor"](name="pictures", datatype="UINT8", shape=[1, 2, 2, 3])],
        outputs=[known["InferRequestedOutputTensor"](name="vectors")], raw_input_contents=[bytes(range(12))],
    )  # fmt: skip
    assert request.SerializeToString().hex() == (
        "0a016d2a170a087069637475726573120555494e54381a040102020332090a07766563746f72733a0c000102030405060708090a0b"
    )
    assert known["ModelMetadataRequest"](name="m").SerializeToString().hex() == "0a016d"
    raw = (
        "0a016d1201311a01372a1d0a07766563746f72731204465033321a02010222080a017812031a017932089a99193fcdcc4c3f"
    )
    listed = "0a016d1201312a1f0a07766563746f72731204465033321a0201022a0a32089a99193fcdcc4c3f"
    for given in (raw, listed):
        answer = known["ModelInferResponse"].FromString(bytes.fromhex(given))
        rows = kserve.rows_in(
            kserve_grpc._raw(answer), answer.model_name, kserve_grpc._tensors(answer.outputs), "m", 1, 2
        )
        assert rows.tolist() == [[np.float32(0.6), np.float32(0.8)]]
    metadata = known["ModelMetadataResponse"].FromString(
        bytes.fromhex(
            "0a016d1201311a106f6e6e7872756e74696d655f6f6e6e7822200a087069637475726573120555494e54381a0dffffffffffffff"
            "ffff010202032a1c0a07766563746f72731204465033321a0bffffffffffffffffff0102"
        )
    )
    assert metadata.name == "m"
    assert kserve_grpc._tensors(metadata.inputs) == (
        kserve.Tensor(name="pictures", datatype="UINT8", shape=(-1, 2, 2, 3)),
    )
    index = known["RepositoryIndexResponse"].FromString(
        bytes.fromhex("0a0d0a016d1201311a0552454144590a030a016e")
    )
    assert [each.name for each in index.models] == ["m", "n"]


def rows_but(**changes: Any) -> Callable[[Any], bytes]:
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = changes.pop("rows", lambda rows: rows)
    return lambda request: outputs(change(np.eye(3, 48, dtype=np.float32)), **{"model_name": NAME} | changes)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(rows_but(model_name="other"), id="another model"),
        pytest.param(rows_but(tensor={"shape": [3, 24]}), id="dimensions"),
        pytest.param(rows_but(tensor={"datatype": "FP16"}), id="datatype"),
        pytest.param(rows_but(rows=lambda rows: rows[1:]), id="one too few"),
        pytest.param(rows_but(rows=lambda rows: rows * np.float32("nan")), id="not numbers"),
        pytest.param(rows_but(rows=lambda rows: rows * 3), id="too long"),
        pytest.param(rows_but(raw_output_contents=[b"x"]), id="cut short"),
        pytest.param(rows_but(raw_output_contents=[b"x" * (5 << 20)]), id="huge"),
        pytest.param(lambda request: b"\xff\xff\xff", id="no message"),
        pytest.param(lambda request: b"", id="empty"),
    ],
)
def test_no_lie_is_believed(lie: Callable[[Any], bytes], opened: Open) -> None:
    with double(lie).running() as url:
        with pytest.raises(RemoteRefusal, match=r"http://127.*(cannot be right|no message of this protocol)"):
            dialect().embed(opened(url), list(PICTURES), SHAPE)


@pytest.mark.parametrize(
    "there", [{"name": NAME.replace("-squash", "-crop")}, {"side": 64}, {"dimensions": 24}], ids=str
)
def test_another_model_or_recipe_is_not_asked(there: dict[str, Any], opened: Open) -> None:
    with double(**there).running() as url:
        with pytest.raises(RemoteRefusal, match="has no model"):
            dialect().describe(opened(url))


@pytest.mark.parametrize(
    "other", ["densenet", f"{NAME}0000", "dedupd-open_clip-Tiny-v1-0-squash-bicubic-32-48"]
)
def test_a_model_whose_name_tells_no_known_recipe_is_none(other: str, opened: Open) -> None:
    with double(name=other).running() as url:
        with pytest.raises(RemoteRefusal, match="has no model dedupd-open_clip-Tiny-v1-… of this recipe"):
            dialect(None).describe(opened(url))


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("UNAUTHENTICATED", RemoteRefusal, "answers UNAUTHENTICATED: no [31mtoken"),
        ("RESOURCE_EXHAUSTED", RemoteBusy, "answers RESOURCE_EXHAUSTED"),
        ("UNIMPLEMENTED", RemoteRefusal, "answers UNIMPLEMENTED"),
        ("NOT_FOUND", RemoteFailure, "answers NOT_FOUND"),
        ("UNAVAILABLE", RemoteFailure, "does not answer"),
    ],
)
def test_failures_are_told_in_words(code: str, kind: type[Exception], told: str, opened: Open) -> None:
    server = double(fails=(grpc.StatusCode[code], "no \x1b[31mtoken"))
    with server.running() as url, pytest.raises(RemoteFailure) as failure:
        opened(url).describe(NAME)
    assert type(failure.value) is kind and f"{url} {told}" in str(failure.value)


def test_nobody_there_and_nobody_in_time(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RemoteFailure, match=r"http://127.0.0.1:9 does not answer \("):
        opened("http://127.0.0.1:9").describe(NAME)
    monkeypatch.setattr(kserve_grpc, "ANSWER_SECONDS", 0.2)
    hangs = threading.Event()

    def slow(request: Any) -> bytes:
        hangs.wait()
        return b""

    with double(slow).running() as url:
        with pytest.raises(RemoteLate, match="did not answer within"):
            dialect().embed(opened(url), list(PICTURES), SHAPE)
        hangs.set()


def test_no_proxy_is_asked(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with double().running() as url:
        assert dialect().describe(opened(url)) == SHAPE


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_over_tls_the_certificate_must_be_the_trusted_one(opened: Open, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=eyes -days 2"
    made = [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key]
    subprocess.run(made, check=True, capture_output=True)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with double().running(credentials) as url:
        assert dialect().describe(opened(url, "", str(certificate))) == SHAPE
        if ssl.get_default_verify_paths().cafile:
            with pytest.raises(RemoteFailure, match="does not answer"):
                dialect().describe(opened(url))
    with pytest.raises(VisionError, match=r"embedding.ca_file .*/absent cannot be used"):
        opened("https://127.0.0.1:1", "", str(tmp_path / "absent"))


def test_a_service_without_a_network_goes_by_the_socket_of_the_address(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "both.pem").write_text(SELF_MADE)
    key, _, certificate = SELF_MADE.partition("-----BEGIN CERTIFICATE-----")
    pair = key.encode(), f"-----BEGIN CERTIFICATE-----{certificate}".encode()
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv(PROXIES, folder)
        for away, credentials in (
            ("http://stranger:9", None),
            ("https://localhost:9", grpc.ssl_server_credentials([pair])),
        ):
            with double().running(credentials) as url, proxied(Path(folder), away, url):
                assert dialect().describe(opened(away, "", str(tmp_path / "both.pem"))) == SHAPE
        with pytest.raises(VisionError, match="no way to http://other:9: run `dedupd service install` again"):
            opened("http://other:9")


def test_what_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dialect_for("kserve-grpc", MODEL)
    with pytest.raises(VisionError, match="no path"):
        asked.open("http://127.0.0.1:8001/v2", "", "")
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(VisionError, match=r"pip install 'dedupd\[triton\]'"):
        asked.open("http://127.0.0.1:8001", "", "")
