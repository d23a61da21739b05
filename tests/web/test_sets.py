"""Stateless sets: order, limits, hostile names, expiry; and with the real eyes the same pairs as `dedupd scan`.

Where nothing has to be seen, a twin of the eyes looks at pseudo-photos: a worker process takes a second to start.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from PIL import Image

from dedupd import Library
from dedupd.config import Settings, Web
from dedupd.pipeline import families
from dedupd.ports import Proof, ProofRequest
from dedupd.web.asgi_app import ServerParts
from dedupd.web.uploads import harmless
from tests.fakes.vision import FakeVision, pseudo_photo
from tests.support.pictures import picture, save, small_gallery
from tests.support.shelf import Shelf
from tests.web.conftest import Serve, Served, refused

NOON = datetime(2024, 6, 15, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def quick(serve: Serve) -> AsyncIterator[Served]:
    """Sets that the twin looks at."""
    async with serve(change=seen_by_a_twin) as server:
        yield server


def seen_by_a_twin(built: ServerParts) -> None:
    built.sets._vision = FakeVision


async def upload(served: Served, *files: tuple[str, bytes]) -> Response:
    return await served.client.post("/images", files=[("files", file) for file in files])


def left(served: Served) -> list[str]:
    """What of sets lies on the disk."""
    return sorted(path.name for path in (served.places.state / "web" / "sets").iterdir())


async def test_a_set_is_answered_in_order_with_null_for_what_cannot_be_read(quick: Served) -> None:
    lake = pseudo_photo("lake")
    sent = [
        ("a.jpg", lake), ("../../../etc/passwd", b"root:x:0:0"), ("", pseudo_photo("sea", width=200, height=300)),
        ("cut.jpg", b"\xff\xd8\xff\xe0"), ("empty.jpg", b""), ("<b>\udcff\n.jpg", lake), (".nomedia", b"\0"),
    ]  # fmt: skip
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode(
            "utf-8", "surrogateescape"
        ).replace(b"\n.jpg", b"%0A.jpg")
        + data
        + b"\r\n"
        for name, data in sent
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    multipart = {"content-type": f"multipart/form-data; boundary={boundary}"}
    said = await quick.client.post("/images", content=body, headers=multipart)
    assert said.status_code == 200, said.text
    images = said.json()["images"]
    assert [image and (image["index"], image["width"], image["height"]) for image in images] == [
        (0, 4000, 3000), None, (2, 200, 300), None, None, (5, 4000, 3000), None,
    ]  # fmt: skip
    assert images[0]["name"] == "a.jpg" and images[5]["name"].startswith("<b>")
    id = said.json()["request_id"]
    found = await quick.get(f"/duplicates/{id}")
    assert found == {
        "pairs": [{"a": 0, "b": 5, "score": 1.0, "relation": "exact", "confidence": 1.0}],
        "groups": [{"keep": 0, "duplicates": [5], "review": []}],
    }
    assert (await quick.client.delete(f"/duplicates/{id}")).status_code == 204
    assert left(quick) == [] and not (quick.places.state / "ledger.db").exists()
    for ask in (quick.client.get, quick.client.delete):
        assert refused(await ask(f"/duplicates/{id}")) == (404, "not_found")


def in_folder(root: Path) -> dict[Path, bytes]:
    """One month: a photo with three copies, its burst's next frame, others."""
    small_gallery(root)
    save(root / "2024/06/IMG_0005.jpg", picture(9), taken=NOON, camera=("M", "1"))
    return {path: path.read_bytes() for path in sorted((root / "2024/06").rglob("*")) if path.is_file()}


def pairs_of(groups: list[Any], place: Callable[[str], int]) -> set[tuple[int, int, str]]:
    return {
        (*sorted((place(group.keep), place(path))), proof.relation)
        for group in groups
        for path, proof in group.evidence.items()
    }


async def test_the_pairs_are_those_of_a_scan(serve: Serve, tmp_path: Path) -> None:
    files = in_folder(tmp_path / "Pictures")
    order = list(files)
    with Library.open([tmp_path / "Pictures"], state_dir=tmp_path / "other", embedder="hashes") as library:
        library.scan(dry_run=True)
        groups = library.groups()
    place = {str(path.relative_to(tmp_path / "Pictures")): number for number, path in enumerate(order)}
    async with serve() as served:
        said = await upload(served, *((path.name, data) for path, data in files.items()))
        found = await served.get(f"/duplicates/{said.json()['request_id']}")
    ours = {(pair["a"], pair["b"], pair["relation"]) for pair in found["pairs"]}
    assert ours == pairs_of(groups, place.__getitem__) and len(ours) >= 3
    assert {group["keep"] for group in found["groups"]} == {place[group.keep] for group in groups}


async def test_a_large_family_is_compared_as_far_as_by_a_scan(
    quick: Served, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "OTHERS", 2)
    names = [f"{number}.jpg" for number in range(9)]
    for number, name in enumerate(names):
        shelf.add(f"2024/06/{name}", "lake", exposure=str(number))
    shelf.library.scan(dry_run=True)
    place = {f"2024/06/{name}": number for number, name in enumerate(names)}
    said = await upload(quick, *((name, (shelf.root / "2024/06" / name).read_bytes()) for name in names))
    found = await quick.get(f"/duplicates/{said.json()['request_id']}", params={"threshold": 0.75})
    ours = {(pair["a"], pair["b"], pair["relation"]) for pair in found["pairs"]}
    assert ours == pairs_of(shelf.library.groups(), place.__getitem__) and len(ours) == 8


async def test_a_large_set_lets_others_in_and_is_compared_to_its_end(serve: Serve) -> None:
    now = [0.0]

    class SlowEyes(FakeVision):
        def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
            for proof in super().prove(requests):
                now[0] += 1.0
                yield proof

    def slow(built: ServerParts) -> None:
        built.sets._vision, built.sets._now = SlowEyes, lambda: now[0]

    async with serve(change=slow) as served:
        family = [pseudo_photo("lake", rendering=f"r{n}", width=800 + n, height=600) for n in range(12)]
        pair = [pseudo_photo("sea"), pseudo_photo("sea", rendering="small", width=800, height=600)]
        ids = [
            (await upload(served, *((f"{n}.jpg", photo) for n, photo in enumerate(photos)))).json()[
                "request_id"
            ]
            for photos in (family, pair)
        ]
        done: list[int] = []

        async def ask(place: int) -> int:
            found = await served.get(f"/duplicates/{ids[place]}")
            done.append(place)
            return len(found["pairs"])

        assert await asyncio.gather(ask(0), ask(1)) == [11, 1]
        assert done == [1, 0]


async def test_who_still_waits_when_the_server_is_stopped_is_told_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class StuckEyes(FakeVision):
        def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
            loop.call_soon_threadsafe(asked.set)
            go_on.wait(60)
            return super().prove(requests)

    def stuck(built: ServerParts) -> None:
        built.sets._vision = StuckEyes

    async with serve(change=stuck) as served:
        lake = [pseudo_photo("lake"), pseudo_photo("lake", rendering="small", width=800, height=600)]
        said = await upload(served, *((f"{n}.jpg", photo) for n, photo in enumerate(lake)))
        question = asyncio.create_task(served.client.get(f"/duplicates/{said.json()['request_id']}"))
        await asked.wait()
        served.stop()
        assert refused(await question) == (503, "ending")
        go_on.set()


async def test_a_threshold_is_that_of_a_scan(quick: Served) -> None:
    photos = [
        pseudo_photo("lake"),
        pseudo_photo("lake", rendering="small", width=800, height=600),
        pseudo_photo("lake", "2"),
    ]
    said = await upload(quick, *((f"{n}.jpg", photo) for n, photo in enumerate(photos)))
    id = said.json()["request_id"]
    low = await quick.get(f"/duplicates/{id}", params={"threshold": 0.75})
    assert [(p["a"], p["b"], p["relation"]) for p in low["pairs"]] == [(0, 1, "copy"), (0, 2, "similar")]
    assert low["pairs"][1]["score"] == 0.88 and low["groups"] == [
        {"keep": 0, "duplicates": [1], "review": [2]}
    ]
    high = await quick.get(f"/duplicates/{id}", params={"threshold": 0.95})
    assert high["pairs"] == low["pairs"][:1]
    for threshold in ("0", "1.01", "x", "nan", "-1"):
        said = await quick.client.get(f"/duplicates/{id}", params={"threshold": threshold})
        assert refused(said) == (422, "invalid"), threshold


async def test_bodies_that_are_no_upload(quick: Served) -> None:
    post = quick.client.post
    assert refused(await post("/images", json={})) == (415, "not_multipart")
    assert refused(await post("/images")) == (415, "not_multipart")
    assert refused(await post("/images", headers={"content-type": "multipart/form-data"})) == (
        400,
        "malformed",
    )
    form = {"content-type": "multipart/form-data; boundary=x"}
    for body in (
        b"nonsense",
        b"--x\r\nno header",
        b"--x\r\n" + b"A: b\r\n" * 100,
        b"--x\r\n" + b"A" * 99_999,
    ):
        assert refused(await post("/images", content=body, headers=form))[0] in (400, 422), body[:20]
    assert refused(await post("/images", files=[("other", ("a.jpg", b"x"))])) == (422, "invalid")
    field = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nno file\r\n--x--\r\n'
    assert refused(await post("/images", content=field, headers=form)) == (422, "invalid")
    assert refused(await post("/images", content=b"--x--\r\n", headers=form)) == (422, "invalid")
    cut = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf of'
    assert refused(await post("/images", content=cut, headers=form)) == (400, "malformed")
    await quick.built.sets._do(lambda: None)
    assert left(quick) == []
    for id in ("x", "00000000-0000-0000-0000-00000000000g"):
        assert (await quick.client.get(f"/duplicates/{id}")).status_code in {404, 422}


def small(**limits: Any) -> Settings:
    return Settings(embedder="hashes", web=Web(**{"upload_files": 3, "upload_mb": 1, "sets_mb": 1} | limits))


async def test_a_set_has_limits_of_count_and_bytes(serve: Serve) -> None:
    async with serve(small(), seen_by_a_twin) as served:
        many = [(f"{n}.jpg", b"x") for n in range(4)]
        assert refused(await upload(served, *many)) == (413, "too_many")
        large = b"\0" * 3_000_000
        assert refused(await upload(served, ("a.jpg", large))) == (413, "too_large")

        async def untold() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            for _ in range(100):
                yield large[: 1 << 16]

        form = {"content-type": "multipart/form-data; boundary=x"}
        said = await served.client.post("/images", content=untold(), headers=form)
        assert refused(said) == (413, "too_large")
        await served.built.sets._do(lambda: None)
        assert left(served) == []


async def test_all_sets_together_have_a_limit_and_make_room_when_their_time_is_over(serve: Serve) -> None:
    now = [0.0]

    def set_clock(built: ServerParts) -> None:
        seen_by_a_twin(built)
        built.sets._now = lambda: now[0]

    async with serve(small(sets_minutes=60), set_clock) as served:
        noise = b"\0" * 600_000
        first = await upload(served, ("a.jpg", noise), ("b.jpg", pseudo_photo("lake")))
        id = first.json()["request_id"]
        assert refused(await upload(served, ("a.jpg", noise))) == (429, "no_room")
        now[0] = 59 * 60
        assert await served.get(f"/duplicates/{id}") == {"pairs": [], "groups": []}
        now[0] = 60 * 60
        assert refused(await served.client.get(f"/duplicates/{id}")) == (404, "not_found")
        await served.built.sets._do(lambda: None)
        assert left(served) == []
        assert (await upload(served, ("a.jpg", noise))).status_code == 200


async def test_an_upload_that_is_broken_off_leaves_nothing(quick: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", quick.port)
    head = (
        f"POST /images HTTP/1.1\r\nHost: localhost\r\nAuthorization: {quick.client.headers['authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf'
    )
    writer.write(head.encode())
    while not left(quick):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    writer.close()
    async with asyncio.timeout(20):
        while left(quick):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_a_server_before_left_is_gone(serve: Serve, tmp_path: Path) -> None:
    async with serve(change=seen_by_a_twin) as served:
        await upload(served, ("a.jpg", pseudo_photo("lake")))
        assert left(served)
    assert not (tmp_path / "state/web/sets").exists()
    (tmp_path / "state/web/sets/old").mkdir(parents=True)
    async with serve() as served:
        assert left(served) == []


def names() -> Iterator[tuple[str, str]]:
    yield from (
        ("a.jpg", "a.jpg"), ("/etc/passwd", "passwd"), ("..\\..\\x.png", "x.png"), ("..", "photo"), ("", "photo"),
        (".nomedia", "nomedia"), ("IMG 1 (2).JPG", "IMG 1 (2).JPG"), ("caf\u00e9.jpg", "caf\u00e9.jpg"),
        ("a\0b\n<c>.jpg", "a_b__c_.jpg"), ("x" * 300 + ".jpeg", "x" * 120 + ".jpeg"), ("ü" * 300, "ü" * 60),
        ("\ud800.jpg", "_.jpg"), ("CACHEDIR.TAG", "CACHEDIR.TAG"), ("a." + "b" * 40, "a." + "b" * 40),
    )  # fmt: skip


def test_names_on_the_disk_are_harmless() -> None:
    for name, expected in names():
        assert harmless(name) == expected, name


async def test_large_pictures_of_the_library_are_decoded_and_written_anew(serve: Serve, shelf: Shelf) -> None:
    photo = save(shelf.root / "2024/06/a.png", picture(1, (1600, 1200)))
    shelf.look()
    (file,) = (row.id for row in shelf.ledger.files.of_root(shelf.row.id))
    async with serve(shelf.library.settings) as served:
        for side, expected in ((200, 256), (512, 512), (600, 1280), (65_500, 1600)):
            said = await served.client.get(f"/api/pictures/{file}", params={"side": side})
            assert said.status_code == 200 and said.headers["content-type"] in {"image/jpeg", "image/webp"}
            with Image.open(io.BytesIO(said.content)) as shown:
                assert max(shown.size) == expected
        assert photo.read_bytes() != said.content
        assert refused(await served.client.get("/api/pictures/4711?side=2560")) == (404, "not_found")
    assert not (served.places.state / "web/pictures").exists()
