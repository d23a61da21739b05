"""The service as a client, a balancer and a stranger meet it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from dedupd.adapters.vision.remote import wire
from dedupd.adapters.vision.shapes import shape_of
from dedupd.embedding_service import batching
from tests.support.remote_eyes import TinyEmbedder, served

SHAPE = shape_of(TinyEmbedder())
assert SHAPE is not None
MEANT = {wire.MODEL_HEADER: "tiny/1", wire.RECIPE_HEADER: wire.recipe_of(SHAPE)}
TOKEN = "t" * 43


@pytest.fixture(scope="module")
def service() -> Iterator[httpx2.Client]:
    with served(TinyEmbedder()) as url, httpx2.Client(base_url=url, timeout=60) as client:
        yield client


def photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def small(seed: int, side: int = 32) -> bytes:
    return wire.encode(np.asarray(photo(seed).resize((side, side)).convert("RGB")))


def webp(size: tuple[int, int], **how: object) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size).save(written, "WEBP", **how)
    return written.getvalue()


def cut_short(size: tuple[int, int]) -> bytes:
    """The first bytes of a picture that says it is of this size: painting so large a one costs seconds."""
    written = io.BytesIO()
    photo(1).resize((96, 96)).save(written, "WEBP", quality=100)
    data = bytearray(written.getvalue())
    struct.pack_into("<HH", data, data.index(b"\x9d\x01\x2a") + 3, *size)
    return bytes(data[:4000])


def told(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_vectors_come_in_order_and_are_the_local_ones(service: httpx2.Client) -> None:
    pictures = [np.asarray(photo(seed).resize((32, 32))) for seed in range(5)]
    response = service.post("/v1/embed", content=wire.pack([wire.encode(p) for p in pictures]), headers=MEANT)
    assert response.status_code == 200
    assert {name: response.headers[name] for name in MEANT} == MEANT
    rows = wire.read_rows(response.content, 5, 48)
    assert np.abs(rows - TinyEmbedder().embed(np.stack(pictures))).max() < 5e-4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\x01", 400),
        (struct.pack("<I", 5) + b"abc", 400),
        (struct.pack("<I", 0), 400),
        (struct.pack("<I", 0xFFFFFFFF) + b"x", 400),
        (wire.pack([b"junk"]), 422),
        (wire.pack([small(1), b"RIFF\x00\x00\x00\x00WEBPVP8L"]), 422),
        (wire.pack([small(1)[:-9]]), 422),
        (wire.pack([small(1, 16)]), 422),
        (wire.pack([cut_short((9000, 9000))]), 422),
        (wire.pack([webp((32, 32), save_all=True, append_images=[Image.new("RGB", (32, 32), "red")])]), 422),
        (wire.pack([small(1)] * (wire.MOST_PICTURES + 1)), 400),
        (b"\xff\xd8\xff" * 500, 400),
    ],
)
def test_a_hostile_body_is_refused_in_words(service: httpx2.Client, body: bytes, status: int) -> None:
    response = service.post("/v1/embed", content=body, headers=MEANT)
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert response.headers[wire.MODEL_HEADER] == "tiny/1"


def test_a_body_over_the_limit_is_refused_whatever_it_says_of_itself(
    service: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.embedding_service.routes.MOST_BODY", 1000)
    assert told(service.post("/v1/embed", content=b"x" * 1001, headers=MEANT)) == (413, "too_large")
    chunked = service.post("/v1/embed", content=(b"x" * 400 for _ in range(9)), headers=MEANT)
    assert told(chunked) == (413, "too_large")


@pytest.mark.parametrize("header", list(MEANT))
def test_another_model_or_recipe_is_refused(service: httpx2.Client, header: str) -> None:
    body = wire.pack([small(1)])
    other = service.post("/v1/embed", content=body, headers=MEANT | {header: "other"})
    assert told(other) == (409, "other_model")
    unsaid = service.post("/v1/embed", content=body, headers={k: v for k, v in MEANT.items() if k != header})
    assert told(unsaid) == (400, "malformed")


def test_when_too_much_waits_one_is_told_to_come_again(
    service: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 1)
    assert told(service.post("/v1/embed", content=wire.pack([small(1)] * 2), headers=MEANT)) == (429, "busy")


def test_health_readiness_and_counts(service: httpx2.Client) -> None:
    assert service.get("/health").json() == {"status": "ok"}
    assert service.get("/ready").json() == {"status": "ready"}
    assert service.get("/v1/model").json()["model"] == "tiny/1"
    assert service.get("/").status_code == 404 and service.get("/v1/embed").status_code == 405
    service.post("/v1/embed", content=wire.pack([small(1)]), headers=MEANT)
    lines = service.get("/metrics").text.splitlines()
    assert 'dedupd_embed_info{model="tiny/1"} 1' in lines
    assert any(line.startswith('dedupd_embed_requests_total{status="200"} ') for line in lines)
    assert "dedupd_embed_waiting_pictures 0" in lines


def test_a_page_of_a_browser_is_refused(service: httpx2.Client) -> None:
    for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert told(service.get("/v1/model", headers=foreign)) == (400, "foreign_host")


def test_a_token_opens_all_but_health_and_readiness() -> None:
    with served(TinyEmbedder(), token=TOKEN) as url, httpx2.Client(base_url=url, timeout=60) as client:
        for path in ("/v1/model", "/v1/embed", "/metrics"):
            assert told(client.get(path)) == (401, "no_token")
        assert told(client.get("/v1/model", headers={"Authorization": f"Bearer {TOKEN[1:]}"})) == (
            401,
            "no_token",
        )
        assert client.get("/v1/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
