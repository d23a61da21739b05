"""Which lines of the unit's sandbox work on this machine: some kernels and containers refuse one or two.

Owns the trial: systemd starts a process that does nothing. Must never change the unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dedupd.cli.login_service import UNIT, Host, shipped

_SANDBOX = re.compile(
    r"^((?:Private|Protect|Restrict|Lock|NoNew|Capability|SystemCall)\w+)=(.*)$", re.MULTILINE
)
_NAMESPACES = "PrivateUsers=yes"
"""A user manager can sandbox only inside a user namespace, so each line is tried inside one."""
_CANNOT_PREPARE = range(200, 246)
"""Exit statuses with which systemd says that it could not prepare the process's environment (226/NAMESPACE
...)."""


def refused_lines(host: Host) -> list[str] | None:
    """The lines that systemd cannot apply here, each tried by itself; None when no user manager answers."""
    lines = [match[0] for match in _SANDBOX.finditer(shipped("systemd", UNIT).decode())]
    whole = _try(host, lines)
    if whole == 0:
        return []
    if whole not in _CANNOT_PREPARE:
        return None
    return [line for line in lines if _try(host, [_NAMESPACES, line]) in _CANNOT_PREPARE]


def in_force(host: Host, lines: Sequence[str]) -> list[str]:
    """Those of the lines with which the installed service is started: its owner may have disabled some."""
    if not (host.units / UNIT).exists():
        return []
    _, said = host.call(["systemctl", "--user", "show", UNIT])
    off = {line.partition("=")[0] for line in said.splitlines() if line.endswith("=no")}
    return [line for line in lines if line.partition("=")[0] not in off]


def _try(host: Host, lines: Sequence[str]) -> int:
    properties = [word for line in lines for word in ("-p", line)]
    code, _ = host.call(["systemd-run", "--user", "--wait", "--collect", "--quiet", *properties, "/bin/true"])
    return code
