"""Many pictures seen elsewhere, for a library to adopt: what `dedupd backfill` does.

plan.py cuts the sources into chunks, seeing.py has one chunk seen by a worker process, pool.py and on_ray.py hand chunks out
and take back what became of them, backfill.py has the order of it all: list, see, record, commit, count;
compare_rows.py that of comparing the rows. Must never open a
library, nor touch a source but to read it.
"""
