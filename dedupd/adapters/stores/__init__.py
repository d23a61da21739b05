"""Places far and near that a backfill reads pictures from and leaves rows in: a folder, or a bucket of an object store."""
