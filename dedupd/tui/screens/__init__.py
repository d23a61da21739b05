"""One screen a file, in the order a reviewer meets them: months, groups, compare, picture, history, log, settings."""
