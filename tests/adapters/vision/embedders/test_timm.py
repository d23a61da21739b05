"""The real timm path: a small backbone with weights of one's own, offline, through the worker."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dedupd
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.embedders import registry
from dedupd.core.photo import Traits
from dedupd.errors import VisionError
from dedupd.library import Library
from tests.contracts.test_vision_contract import request
from tests.support import torchvision_ops
from tests.support.pictures import picture, save, small_gallery

pytestmark = [pytest.mark.model, pytest.mark.slow]
for needed in ("torch", "timm"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

BUILD = """
import json, sys
from pathlib import Path
import timm, torch
from dedupd.adapters.vision.embedders import registry, timm as timm_backbone
from dedupd.errors import VisionError

folder = Path(sys.argv[1])
torch.manual_seed(1)
whole = timm.create_model("test_efficientnet", num_classes=7).state_dict()
bare = timm.create_model("test_vit", num_classes=0).state_dict()
torch.save(whole, folder / "whole.pt")
torch.save(bare, folder / "vit.pt")
torch.save(dict(list(whole.items())[:-9]), folder / "cut.pt")
(folder / "junk.pt").write_bytes(b"junk")
bad = [
    f"timm:test_efficientnet@{folder}/cut.pt",
    f"timm:test_efficientnet@{folder}/junk.pt",
    f"timm:test_efficientnet@{folder}/vit.pt",
    f"timm:no_such_architecture@{folder}/whole.pt",
    "timm:test_vit.no_such_tag",
    "timm:test_vit.r160_in1k",
    "timm:no_such_architecture.x",
]
sentences = []
for name in bad:
    try:
        registry.load(registry.parse(name), folder)
        sentences.append(f"{name} loaded")
    except VisionError as error:
        sentences.append(str(error))
tags = [timm_backbone.with_tag(registry.parse("timm:test_vit")).id]
try:
    timm_backbone.with_tag(registry.parse("timm:no_such_architecture"))
except VisionError as error:
    tags.append(str(error))
print(json.dumps([sentences, tags]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands before PYTHONPATH for timm to be imported beside any torchvision."""
    folder = tmp_path_factory.mktemp("site")
    return os.fspath(torchvision_ops.site(folder)) if torchvision_ops.mismatched() else ""


@pytest.fixture(scope="module")
def built(site: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A folder with checkpoints, what is said of bad ones, and what bare names mean."""
    folder = tmp_path_factory.mktemp("models")
    home = os.fspath(Path(dedupd.__file__).parent.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (site, home))),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": os.fspath(folder / "hub"),
    }
    done = subprocess.run(
        [sys.executable, "-c", BUILD, os.fspath(folder)], env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, tags = json.loads(done.stdout.splitlines()[-1])
    return folder, said, tags


@pytest.fixture(autouse=True)
def importable(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if site:
        monkeypatch.setenv("PYTHONPATH", site, prepend=os.pathsep)


def test_whatever_is_wrong_with_the_weights_is_one_sentence(built: tuple[Path, list[str], list[str]]) -> None:
    _, said, _ = built
    assert len(said) == 7
    for sentence in said:
        assert "cannot be loaded" in sentence
        assert "\n" not in sentence
    assert "check that the checkpoint" in said[0]
    assert "dedupd models pull" in said[-2]


def test_a_bare_name_is_recorded_with_its_weights(built: tuple[Path, list[str], list[str]]) -> None:
    _, _, (named, unknown) = built
    assert named == "timm:test_vit.r160_in1k"
    assert "timm knows no weights for no_such_architecture" in unknown


@pytest.mark.parametrize(("name", "file"), [("test_efficientnet", "whole.pt"), ("test_vit", "vit.pt")])
def test_a_local_checkpoint_sees(
    built: tuple[Path, list[str], list[str]], tmp_path: Path, name: str, file: str
) -> None:
    chosen = f"timm:{name}@{built[0] / file}"
    vision = VisionWorker(tmp_path / "index", tmp_path / "cache", chosen, batch_size=2)
    paths = [
        save(tmp_path / "a.jpg", picture(1)),
        save(tmp_path / "b.png", picture(1, (320, 240))),
        save(tmp_path / "c.jpg", picture(2)),
    ]
    answers = {look.key: look.result for look in vision.ingest([request(k, p) for k, p in enumerate(paths)])}
    contents = [traits.content for k in range(3) if isinstance(traits := answers[k], Traits)]
    assert len(contents) == 3
    status = vision.status()
    assert status.model.startswith(f"{chosen}#")
    copies, strangers = vision.cosines([(contents[0], contents[1]), (contents[0], contents[2])])
    vision.rest()
    assert copies is not None
    assert strangers is not None
    assert copies > strangers


def test_a_library_changes_to_it_and_stays_with_it(
    built: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    root, chosen = small_gallery(tmp_path / "Pictures"), f"timm:test_efficientnet@{built[0] / 'whole.pt'}"
    with Library.open([root], state_dir=tmp_path / "state", embedder="hashes") as library:
        before = library.scan(dry_run=True).report
        assert library.models.use(chosen).startswith(chosen)
    with Library.open([root], state_dir=tmp_path / "state", embedder=chosen) as library:
        report = library.scan(dry_run=True).report
        assert report["model"].startswith(f"{chosen}#")
        moving = [{p for g in each["groups"] for p in g["duplicates"]} for each in (before, report)]
        assert moving[0] == moving[1]
        with pytest.raises(VisionError, match="cannot be read"):
            library.models.use("timm:test_vit@/nowhere/x.pt")
    tables = {each.name for each in (tmp_path / "state" / "index").iterdir()}
    (table,) = (name for name in tables if not name.startswith(("inside-", "look-", "small-")))
    assert table.startswith("timm-test-efficientnet")


def test_weights_nobody_has_are_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(VisionError, match="could not be downloaded: timm knows no weights"):
        registry.pull("timm:no_such_architecture.x", timeout=60.0)
