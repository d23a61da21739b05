"""Where chunks end: a later run finds again what an earlier one has seen."""

from __future__ import annotations

import os

from dedupd.adapters.stores.found import Found
from dedupd.bulk.plan import Chunk, ModelAndRecipe, chunks_of

EYES = ModelAndRecipe(model="m", recipe="1")


def listing(count: int) -> list[Found]:
    return [Found(name=f"2024/{n:04}.jpg", size=n, version=7) for n in range(count)]


def plan(
    pictures: list[Found], source: str = "/photos", model_and_recipe: ModelAndRecipe = EYES
) -> list[Chunk]:
    return list(chunks_of(source, pictures, model_and_recipe, 16))


def test_chunks_hold_every_picture_once_in_order_and_none_is_much_too_large() -> None:
    chunks = plan(listing(500))
    assert [os.fsdecode(name) for chunk in chunks for name in chunk.names] == [f.name for f in listing(500)]
    sizes = [len(chunk.names) for chunk in chunks[:-1]]
    assert min(sizes) >= 8 and max(sizes) <= 32
    assert len({chunk.key for chunk in chunks}) == len(chunks)


def test_a_new_or_changed_picture_changes_the_chunks_around_it_alone() -> None:
    before = {chunk.key for chunk in plan(listing(500))}
    pictures = listing(500)
    pictures.insert(100, Found(name="2024/0099a.jpg", size=1, version=7))
    pictures[300] = Found(name=pictures[300].name, size=pictures[300].size, version=8)
    after = plan(pictures)
    fresh = [chunk for chunk in after if chunk.key not in before]
    assert 2 <= len(fresh) <= 6
    assert any(b"2024/0099a.jpg" in chunk.names for chunk in fresh)


def test_another_source_or_other_eyes_are_other_chunks() -> None:
    keys = [
        plan(listing(3))[0].key, plan(listing(3), "/other")[0].key,
        plan(listing(3), model_and_recipe=ModelAndRecipe(model="n", recipe="1"))[0].key,
        plan(listing(3), model_and_recipe=ModelAndRecipe(model="m", recipe="2"))[0].key,
    ]  # fmt: skip
    assert len(set(keys)) == 4


def test_names_that_are_no_text_are_kept() -> None:
    odd = os.fsdecode(b"a\xff.jpg")
    (chunk,) = plan([Found(name=odd, size=1, version=1)])
    assert chunk.names == [b"a\xff.jpg"]
