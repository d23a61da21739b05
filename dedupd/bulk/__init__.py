"""`dedupd backfill`: embeds many pictures outside a library, for a library to adopt later.

plan.py cuts the sources into chunks, chunk_worker.py has one chunk processed by a worker process, pool.py and
on_ray.py (the engines) distribute chunks and collect the results, backfill.py has the order: list, see,
record, commit, count; compare_rows.py the same for comparing the rows. Must never open a library, nor write
to a source.
"""
