"""The reviewer's connection to the daemon: ask, follow changes, act in order. Must never touch a widget."""
