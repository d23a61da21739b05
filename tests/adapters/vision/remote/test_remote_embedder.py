"""Eyes elsewhere: the vectors are the local ones, and nothing that a service says reaches the index unchecked."""

from __future__ import annotations

import gzip
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from dedupd.adapters.vision.embedders.base import Model, Shape
from dedupd.adapters.vision.remote import endpoints as lines
from dedupd.adapters.vision.remote import wire
from dedupd.adapters.vision.remote.dialects import DedupdDialect
from dedupd.adapters.vision.remote.embedder import RemoteEmbedder
from dedupd.adapters.vision.remote.endpoints import (
    Endpoint,
    Endpoints,
    RemoteBusy,
    RemoteFailure,
    RemoteRefusal,
    Unreachable,
    token_from,
)
from dedupd.adapters.vision.shapes import shape_of
from dedupd.config import PROXIES, authority
from dedupd.errors import VisionError
from tests.support.certificate import SELF_MADE
from tests.support.remote_eyes import Scripted, TinyEmbedder, proxied, served

MODEL = Model(id="tiny/1", family="tiny")
SHAPE = Shape(side=32, fit="squash", resample="bicubic", dimensions=48)
NOBODY = "http://127.0.0.1:9"
MEANT = {wire.MODEL_HEADER: "tiny/1", wire.RECIPE_HEADER: wire.recipe_of(SHAPE)}
DESCRIBED = msgspec.json.encode(
    wire.ServiceDescription(model="tiny/1", recipe=wire.recipe_of(SHAPE), shape=SHAPE)
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(TinyEmbedder()) as url:
        yield url


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every line that a test opened."""
    opened, real = list[Endpoint](), Endpoint.__init__

    def noted(self: Endpoint, *given: str) -> None:
        real(self, *given)
        opened.append(self)

    monkeypatch.setattr(Endpoint, "__init__", noted)
    yield
    for endpoint in opened:
        endpoint.close()


def remote(*urls: str, local: TinyEmbedder | None = None, said: list[str] | None = None) -> RemoteEmbedder:
    """`local`: for `auto`."""
    here = None if local is None else lambda: local
    told = [] if said is None else said
    return RemoteEmbedder(
        Endpoints([Endpoint(url) for url in urls]),
        DedupdDialect(MODEL, None),
        here,
        told.append,
        patience=0.3,
    )


def batch(embedder: RemoteEmbedder | TinyEmbedder, count: int = 20) -> NDArray[np.uint8]:
    random = np.random.default_rng(1)
    photos = (Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(count))
    return np.stack([embedder.prepare(photo) for photo in photos])


def test_vectors_are_the_local_ones_within_a_float16_step(url: str) -> None:
    embedder = remote(url)
    assert (embedder.side, embedder.dimensions, embedder.note) == (32, 48, url)
    local = TinyEmbedder()
    assert np.array_equal(batch(embedder), batch(local))
    assert np.abs(embedder.embed(batch(embedder)) - local.embed(batch(local))).max() < 5e-4


def answering(**changes: object) -> Callable[[str, bytes], tuple[int, dict[str, str], bytes]]:
    """A service that answers as it should, but for `changes`: status, headers, rows."""

    def say(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/v1/model":
            return 200, {}, DESCRIBED
        rows = np.zeros((len(wire.unpack(body, 1 << 20)), 48), "<f2")
        rows[:, 0] = 1
        change = changes.get("rows")
        answer = change(rows) if callable(change) else rows
        headers = changes.get("headers", MEANT)
        assert isinstance(headers, dict)
        status = changes.get("status", 200)
        assert isinstance(status, int)
        return status, headers, answer if isinstance(answer, bytes) else answer.tobytes()

    return say


BOMB = gzip.compress(bytes(1 << 24))
LIES = {
    "other model": answering(headers=MEANT | {wire.MODEL_HEADER: "tiny/2"}),
    "other recipe": answering(headers=MEANT | {wire.RECIPE_HEADER: "1/x"}),
    "no model": answering(headers={}),
    "one too few": answering(rows=lambda rows: rows[1:]),
    "one too many": answering(rows=lambda rows: np.concatenate([rows, rows[:1]])),
    "dimensions": answering(rows=lambda rows: rows[:, :24]),
    "not a number": answering(rows=lambda rows: rows * np.float16("nan")),
    "infinite": answering(rows=lambda rows: rows * np.float16("inf")),
    "length": answering(rows=lambda rows: rows * np.float16(2)),
    "nothing": answering(rows=lambda rows: rows * np.float16(0)),
    "huge": answering(rows=lambda rows: b"x" * (1 << 20)),
    "cut short": answering(headers=MEANT | {"Content-Length": "100000"}, rows=lambda rows: b"x" * 10),
    "packed": answering(headers=MEANT | {"Content-Encoding": "gzip"}, rows=lambda rows: BOMB),
    "many headers": answering(headers=MEANT | {f"X-{number}": "x" for number in range(200)}),
    "long header": answering(headers=MEANT | {"X-Long": "x" * (1 << 17)}),
    "failure": answering(status=500),
    "redirect": answering(status=307, headers=MEANT | {"Location": "http://127.0.0.1:1/"}),
    "conflict": answering(status=409),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_no_lie_reaches_the_index(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ANSWER_SECONDS", 0.3)
    with Scripted(LIES[lie]).running() as url:
        alone = remote(url)
        with pytest.raises(VisionError, match=r"the remote embedder cannot be used: http"):
            alone.embed(batch(alone, 3))
        local, said = TinyEmbedder(), list[str]()
        auto = remote(url, local=local, said=said)
        assert np.array_equal(auto.embed(batch(auto, 3)), local.embed(batch(local, 3)))
        assert said == ["", said[-1]] and said[-1].startswith(url) and "\n" not in said[-1]


def test_a_redirect_is_not_followed() -> None:
    elsewhere = Scripted(answering())
    with elsewhere.running() as there:
        moved = answering(status=307, headers=MEANT | {"Location": f"{there}/v1/embed"})
        with Scripted(moved).running() as url:
            auto = remote(url, local=TinyEmbedder())
            auto.embed(batch(auto, 3))
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "described",
    [
        b"", b"[]", b"{}", b"x" * 100_000,
        DESCRIBED.replace(b"tiny/1", b"tiny/2"),
        DESCRIBED.replace(b'"side":32', b'"side":64'),
        msgspec.json.encode(wire.ServiceDescription(model="tiny/1", recipe="0/squash", shape=SHAPE)),
    ],
)  # fmt: skip
def test_a_service_that_sees_otherwise_is_not_asked(described: bytes) -> None:
    script = Scripted(lambda path, body: (200, {}, described))
    with script.running() as url:
        with pytest.raises(VisionError, match="cannot be used"):
            remote(url)
        auto = remote(url, local=TinyEmbedder())
        auto.embed(batch(auto, 3))
    assert {path for path, _, _ in script.asked} == {"/v1/model"}


def test_a_known_shape_is_not_believed_to_be_another() -> None:
    with Scripted(lambda path, body: (200, {}, DESCRIBED)).running() as url:
        dialect = DedupdDialect(MODEL, Shape(side=32, fit="crop", resample="bicubic", dimensions=48))
        with pytest.raises(RemoteRefusal, match="another recipe"):
            dialect.describe(Endpoint(url))


def test_a_service_that_hangs_is_left_alone_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ANSWER_SECONDS", 0.1)
    hangs = threading.Event()

    def slow(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path != "/v1/model":
            hangs.wait()
        return 200, MEANT, DESCRIBED

    script = Scripted(slow)
    with script.running() as url:
        auto = remote(url, local=TinyEmbedder())
        for _ in range(3):
            auto.embed(batch(auto, 8))
        hangs.set()
    assert [path for path, _, _ in script.asked].count("/v1/embed") == 1


def test_auto_sees_here_while_nobody_answers_and_there_again_afterwards() -> None:
    local, said = TinyEmbedder(), list[str]()
    now = [0.0]
    with served(TinyEmbedder()) as url:
        port = int(url.rpartition(":")[2])
        auto = RemoteEmbedder(
            Endpoints([Endpoint(url)], lambda: now[0]), DedupdDialect(MODEL, None), lambda: local, said.append
        )
        auto.embed(batch(auto))
        assert (local.batches, said) == ([], [""])
    whole = auto.embed(batch(auto))
    assert len(whole) == 20 and sum(local.batches) == 20 and auto.note.startswith("here")
    with served(TinyEmbedder(), port=port):
        auto.embed(batch(auto))
        assert sum(local.batches) == 40  # it rests
        now[0] += lines.LONGEST_REST
        auto.embed(batch(auto))
    assert sum(local.batches) == 40 and auto.note == url
    assert [sentence.split(" ")[0] for sentence in said] == ["", url, ""]


def test_auto_without_any_service_sees_here() -> None:
    local = TinyEmbedder()
    auto = remote(NOBODY, local=local)
    assert np.array_equal(auto.embed(batch(auto)), local.embed(batch(local)))


def test_two_services_share_the_work_and_one_of_them_is_enough() -> None:
    first, second = TinyEmbedder(), TinyEmbedder()
    with served(first) as one, served(second) as two:
        both = remote(one, two)
        both.embed(batch(both, 32))
        assert sum(first.batches) > 8 and sum(second.batches) > 8
        left = remote(NOBODY, two)
        left.embed(batch(left, 32))


def test_only_small_pictures_travel() -> None:
    script = Scripted(answering())
    with script.running() as url:
        embedder = remote(url)
        embedder.embed(batch(embedder, 3))
    usual = {"host", "accept-encoding", "content-length", "content-type", "x-dedupd-model", "x-dedupd-recipe"}
    for path, headers, body in script.asked:
        assert path in ("/v1/model", "/v1/embed") and set(headers) <= usual
        if body:
            assert all(wire.decode(each, 32).shape == (32, 32, 3) for each in wire.unpack(body, 1 << 20))


def test_a_checkpoint_is_named_without_its_path() -> None:
    model = Model(
        id="timm:vit@/home/ann/secret.pt#12",
        family="timm",
        name="vit",
        checkpoint="/home/ann/secret.pt",
        digest="12",
    )
    assert wire.identity(model) == "timm:vit#12"


def test_a_token_goes_along(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 43 + "\n")
    token = token_from(str(tmp_path / "token"))
    with served(TinyEmbedder(), token=token) as url:
        assert DedupdDialect(MODEL, None).describe(Endpoint(url, token)) == SHAPE
        with pytest.raises(RemoteRefusal, match="401"):
            DedupdDialect(MODEL, None).describe(Endpoint(url))
    for text in ("", "a\x00b"):
        (tmp_path / "token").write_text(text)
        with pytest.raises(VisionError, match="holds no token"):
            token_from(str(tmp_path / "token"))


def test_who_fails_rests_twice_as_long_each_time_and_who_lies_as_long_as_there_is() -> None:
    now, asked = [0.0], list[str]()
    points = Endpoints([Endpoint("http://a"), Endpoint("http://b")], lambda: now[0])
    failure: dict[str, RemoteFailure] = {
        "http://a": RemoteFailure("a is down"), "http://b": RemoteRefusal("b lies"),
    }  # fmt: skip

    def ask(endpoint: Endpoint) -> str:
        asked.append(endpoint.url)
        raise failure[endpoint.url]

    def round_at(seconds: float) -> list[str]:
        now[0] = seconds
        asked.clear()
        with pytest.raises(Unreachable):
            points.call(ask)
        return sorted(asked)

    assert round_at(0) == ["http://a", "http://b"]
    assert round_at(4.9) == []
    assert round_at(5.1) == ["http://a"]
    assert round_at(14) == []
    assert round_at(15.2) == ["http://a"]
    failure["http://a"] = RemoteBusy("a has much to do")
    assert round_at(300) == ["http://a", "http://b"]
    assert round_at(301) == ["http://a"]  # busy is no failure


def test_a_middle_is_cut_as_models_cut_it() -> None:
    class Cropping(TinyEmbedder):
        """Resize(32) and CenterCrop(32) of torchvision: the long side is cut to whole pixels, the margins are rounded."""

        def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
            short, (width, height) = min(image.size), image.size
            size = int(32 * width / short), int(32 * height / short)
            left, top = round((size[0] - 32) / 2.0), round((size[1] - 32) / 2.0)
            resized = image.resize(size, Image.Resampling.BICUBIC)
            return np.asarray(resized.crop((left, top, left + 32, top + 32)))

    found = shape_of(Cropping())
    assert found is not None and (found.fit, found.resample) == ("crop", "bicubic")


def test_a_way_of_its_own_is_not_guessed() -> None:
    class Odd(TinyEmbedder):
        def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
            return np.asarray(image.rotate(3).resize((32, 32)))

    assert shape_of(Odd()) is None


AWAY = "http://192.0.2.1:8766"


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """As in a service that has none: sockets in a folder are the only way out. (A short one: a socket's path is.)"""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv(PROXIES, folder)
        monkeypatch.setattr("socket.create_connection", _no_network)
        yield Path(folder)


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("a connection was opened")


def test_a_service_without_a_network_goes_by_the_socket_of_the_address(
    without_network: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t" * 43)
    with served(TinyEmbedder(), token="t" * 43) as url, proxied(without_network, AWAY, url):
        service = Endpoint(AWAY, token_from(str(tmp_path / "token")))
        auto = RemoteEmbedder(Endpoints([service]), DedupdDialect(MODEL, None), None, print, patience=0.3)
        whole = auto.embed(batch(auto))
    assert np.abs(whole - TinyEmbedder().embed(batch(TinyEmbedder()))).max() < 5e-4
    with pytest.raises(
        VisionError, match=r"no way to http://192\.0\.2\.2:8766: run `dedupd service install` again"
    ):
        remote("http://192.0.2.2:8766")


def test_over_tls_the_far_end_is_known_by_its_own_name(without_network: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(SELF_MADE)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem")
    with Scripted(answering()).running(tls) as url:
        for away, known in (("https://localhost:9", True), ("https://stranger:9", False)):
            with proxied(without_network, away, url):
                service = Endpoint(away, "", str(tmp_path / "cert.pem"))
                if known:
                    assert DedupdDialect(MODEL, None).describe(service) == SHAPE
                else:
                    with pytest.raises(RemoteFailure, match="does not answer"):
                        DedupdDialect(MODEL, None).describe(service)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://192.168.1.9:8766", "192.168.1.9:8766"),
        ("https://[fd00::9]/eyes", "fd00::9:443"),
        ("http://h", "h:80"),
    ],
)
def test_an_address_is_told_as_systemds_proxy_takes_it(url: str, told: str) -> None:
    assert authority(url) == told
