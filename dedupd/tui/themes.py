"""The light and the dark theme. Their greys must never have a hue, because that would change how the colours
of photos look."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="dedupd-dark",
    primary="#d9a05b",
    secondary="#9fb8c8",
    accent="#f0c070",
    success="#7fc08a",
    warning="#e0b050",
    error="#e07868",
    foreground="#d8d8d8",
    background="#141414",
    surface="#1c1c1c",
    panel="#282828",
    dark=True,
    variables={"dim": "#8c8c8c"},
)
LIGHT = Theme(
    name="dedupd-light",
    primary="#8a5a10",
    secondary="#3a5a70",
    accent="#8a5600",
    success="#2f7a3f",
    warning="#8f6400",
    error="#b03a2a",
    foreground="#202020",
    background="#f6f6f6",
    surface="#ededed",
    panel="#dedede",
    dark=False,
    variables={"dim": "#6a6a6a"},
)

DEFAULTS = {"dim": "#808080"}
"""Colours for the other themes, which the command palette offers."""
