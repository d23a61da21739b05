"""What lancedb brings and an index never uses stays out of the worker; what an index uses is the real thing."""

from __future__ import annotations

import gc
import importlib
import sys
import typing

import pytest

import dedupd.adapters.index.lance
from dedupd.adapters.index import rest_client

STAND_IN = "dedupd.adapters.index.rest_client"


def loader_of(name: str) -> str:
    return type(sys.modules[name].__loader__).__module__


@pytest.mark.parametrize(
    "name", ["lance_namespace_urllib3_client.models", "lancedb.embeddings.openai", "lancedb.functions"]
)
def test_the_client_and_the_functions_of_others_are_stood_in_for(name: str):
    assert loader_of(name) == STAND_IN


@pytest.mark.parametrize(
    "name", ["lancedb.embeddings.registry", "lancedb.embeddings.base", "lancedb.table", "lancedb.query"]
)
def test_what_an_index_uses_is_the_real_thing(name: str):
    assert loader_of(name) != STAND_IN


def test_no_method_of_lancedb_is_checked_and_nothing_of_it_stays(monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []
    monkeypatch.setattr(typing, "get_type_hints", lambda *of, **how: asked.append(of) or {})
    monkeypatch.delitem(sys.modules, "overrides", raising=False)
    with rest_client.left_out():
        overrides = importlib.import_module("overrides")

        class _Connection(overrides.EnforceOverrides):
            @overrides.override
            def open_table(self, name: str) -> str:
                return name

    assert not asked
    assert _Connection().open_table("photos") == "photos"
    assert "overrides" not in sys.modules
    assert dedupd.adapters.index.lance.PhotoIndex


def test_nobody_looks_for_garbage_meanwhile_nor_later_among_what_was_made():
    made = [[] for _ in range(3)]
    frozen = gc.get_freeze_count()
    try:
        with rest_client.left_out():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen + len(made)
    finally:
        gc.unfreeze()
