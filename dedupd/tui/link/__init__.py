"""The reviewer's line to the daemon: ask, follow, act in order. Touches no widget."""
