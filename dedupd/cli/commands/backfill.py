"""`dedupd backfill`: embeds many pictures at once, on this machine or a cluster, for a library to adopt."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json, progress_bar, tell
from dedupd.cli.options import Commands, add_command, add_json, parse_positive
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.bulk.backfill import BackfillOutcome
    from dedupd.bulk.chunk_worker import Orders
    from dedupd.bulk.compare_rows import PairsOutcome
    from dedupd.bulk.plan import ModelAndRecipe, Work
    from dedupd.bulk.pool import Finished
    from dedupd.config import Places, Settings

_MOST_TOLD = 20


def add(commands: Commands) -> None:
    """The options of `dedupd backfill`."""
    parser = add_command(
        commands,
        "backfill",
        run,
        help="see the pictures of whole archives with many processes or a Ray cluster, and leave rows for `dedupd adopt`",
        example="dedupd backfill /mnt/archive --to /mnt/rows\n"
        "          dedupd backfill s3://photos/2019 --to s3://rows/2019 --engine ray --address auto",
        topic="archives",
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="folders or s3://BUCKET/PREFIX; they are only read"
    )
    parser.add_argument(
        "--to", required=True, metavar="URI", help="where rows go: a new folder, or s3://BUCKET/PREFIX; "
        "run it again with the same to go on after an interruption",
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=("pool", "ray"), default="pool",
        help="pool: processes of this machine; ray: actors of a cluster that sees sources and URI under the same "
        "names and has dedupd and its model installed (needs dedupd[distributed])",
    )  # fmt: skip
    parser.add_argument(
        "--workers",
        type=parse_positive,
        metavar="N",
        help="processes or actors (default: one a core; of Ray one a graphics card)",
    )
    parser.add_argument(
        "--address",
        metavar="A",
        help="the Ray cluster: 'auto', HOST:PORT or ray://HOST:PORT (default: one started here)",
    )
    parser.add_argument(
        "--model", metavar="M", dest="embedder",
        help="embedder: auto, hashes, lite0, open_clip:NAME/PRETRAINED, timm:NAME.TAG (default: this library's)",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", action="store_true",
        help="compare the rows with each other too, in blocks by the same engine, so that the library that adopts them "
        "need not search among them; what is near is still proven there, on the photos",
    )  # fmt: skip
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a picture has no row, is no twin of one and was not refused."""
    import msgspec

    from dedupd.adapters.stores.store import store_at
    from dedupd.bulk.backfill import backfill, check_places
    from dedupd.bulk.chunk_worker import ChunkWorker, Orders
    from dedupd.cli.opening import opened
    from dedupd.library.view import scope_of

    if arguments.address and arguments.engine != "ray":
        raise UsageError("--address names a Ray cluster: say --engine ray too")
    settings, places = opened(arguments)
    check_places(arguments.sources, arguments.to, map(str, settings.roots))
    to = store_at(arguments.to).address
    orders = Orders(
        to=os.fsencode(to), cache=os.fsencode(places.cache), embedder=_embedder(settings, places),
        batch_size=settings.batch_size, gpus="0" if settings.gpus == "0" else "1",
        gpu_memory_fraction=settings.gpu_memory_fraction,
    )  # fmt: skip
    first = ChunkWorker(orders)
    try:
        model_and_recipe = first.model_and_recipe()
    finally:
        first.rest()
    # By its full name: 'auto' could choose another embedder on another machine.
    orders = msgspec.structs.replace(orders, embedder=model_and_recipe.model or "hashes")
    with _engine(arguments, orders) as engine, progress_bar(quiet=arguments.json) as progress:
        outcome = backfill(
            arguments.sources, to, model_and_recipe, engine, scope_of(settings), on_progress=progress
        )
        pairs = None
        if arguments.pairs and outcome.complete:
            from dedupd.bulk.compare_rows import compare_rows

            bar = _bar(settings, places, model_and_recipe)
            pairs = compare_rows(to, model_and_recipe, bar, engine, on_progress=progress)
    _answer(outcome, pairs, model_and_recipe, as_json=arguments.json)
    done = outcome.complete and not (pairs and pairs.missing)
    return int(ExitCode.OK if done else ExitCode.FAILED)


def _bar(settings: Settings, places: Places, model_and_recipe: ModelAndRecipe) -> float | None:
    """The least cosine at which two rows are near: the model's own bar, or this library's when that is lower;
    None for hashes alone."""
    from dedupd.adapters.vision.embedders.registry import parse
    from dedupd.library import LibraryView
    from dedupd.pipeline.measure_thresholds import own_thresholds

    bar = parse(model_and_recipe.model).far_cosine
    if bar is None or not places.ledger.exists():
        return bar
    with closing(LibraryView(settings, places)) as view:
        own = own_thresholds(view.ledger, model_and_recipe.model)
    return bar if own is None else min(bar, own.across)


def _embedder(settings: Settings, places: Places) -> str:
    """The embedder that was named; without one, that of this machine's library, if there is a library."""
    from dedupd.library import LibraryView

    if settings.embedder != "auto" or not places.ledger.exists():
        return settings.embedder
    with closing(LibraryView(settings, places)) as view:
        return view.ledger.get("embedder") or settings.embedder


@contextmanager
def _engine(
    arguments: argparse.Namespace, orders: Orders
) -> Generator[Callable[[Sequence[Work]], Iterator[Finished]]]:
    """The engine that distributes the chunks, open for the length of the `with`."""
    if arguments.engine == "pool":
        from dedupd.bulk import pool

        workers = arguments.workers or os.cpu_count() or 1
        yield lambda chunks: pool.run(chunks, orders, workers)
        return
    from dedupd.adapters.vision.embedders.registry import uses_card
    from dedupd.bulk.on_ray import Cluster

    with Cluster(arguments.address, arguments.workers) as cluster:
        on_cards = uses_card(orders.embedder)
        yield lambda chunks: cluster.run(chunks, orders, arguments.workers, on_cards=on_cards)


def _answer(
    outcome: BackfillOutcome, pairs: PairsOutcome | None, model_and_recipe: ModelAndRecipe, *, as_json: bool
) -> None:
    from dedupd.core.summary import visible

    problems = [*outcome.problems, *(pairs.problems if pairs else ())]
    if as_json:
        near = (
            {"rows": pairs.rows, "pairs": pairs.pairs, "strips": pairs.strips, "missing": pairs.missing}
            if pairs
            else None
        )
        refused = [{"path": each.name, "reason": each.reason} for each in outcome.refused]
        answer_json(
            {
                "inputs": outcome.inputs, "rows": outcome.rows, "twins": outcome.twins, "refused": refused,
                "missing": outcome.missing, "seen_now": outcome.seen_now, "model": model_and_recipe.model,
                "recipe": model_and_recipe.recipe, "problems": problems,
            } | ({} if near is None else {"near": near})
        )  # fmt: skip
        return
    for problem in problems:
        tell(f"note: {visible(problem)}")
    for each in outcome.refused[:_MOST_TOLD]:
        answer(f"refused: {visible(each.name)}: {visible(each.reason)}")
    if len(outcome.refused) > _MOST_TOLD:
        answer(f"… and {len(outcome.refused) - _MOST_TOLD} more: --json lists them all")
    answer(
        f"{outcome.inputs} picture(s): {outcome.rows} row(s), {outcome.twins} twin(s) of these, "
        f"{len(outcome.refused)} refused; {outcome.seen_now} seen now"
    )
    if outcome.missing:
        answer(f"{outcome.missing} picture(s) are not done: run the same command again")
    if pairs:
        answer(
            f"{pairs.rows} row(s) compared with each other: {pairs.pairs} pair(s) may be near; "
            f"{pairs.compared_now} of {pairs.strips} part(s) compared now"
        )
        if pairs.missing:
            answer(f"{pairs.missing} part(s) are not compared: run the same command again")
