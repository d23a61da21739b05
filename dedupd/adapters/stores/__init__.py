"""Places from which a backfill reads pictures and to which it writes rows: a folder, or a bucket of an object
store."""
