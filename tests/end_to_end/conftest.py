"""Households for the tests here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.house import House


@pytest.fixture
def house() -> Iterator[House]:
    """An empty library with quick settings. Its path is short, as a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="house-", ignore_cleanup_errors=True) as folder:
        made = House(folder=Path(folder).resolve())
        made.root.mkdir()
        made.configure()
        yield made


@pytest.fixture
def pair(house: House) -> House:
    """The same with two photos of June 2024, one of them there twice."""
    house.add("2024/06/IMG_1.jpg", 1)
    house.add("2024/06/IMG_1 copy.jpg", 1)
    house.add("2024/06/IMG_2.jpg", 2)
    return house


@pytest.fixture
def converted(house: House, lite0_graph: Path) -> House:
    """A household that need not convert the model first."""
    cache = house.places.cache
    cache.mkdir(mode=0o700, parents=True)
    cache.parent.chmod(0o700)
    shutil.copy(lite0_graph, cache)
    return house
