"""Starts dedupd at each login, as a systemd user unit or a launchd agent: the work of `dedupd service`.

Owns how the shipped unit and agent are filled in for this machine. Must never touch a file of the service
manager that it did not write. The launchd part has not been tried on a real Mac.
"""

from __future__ import annotations

import ipaddress
import os
import plistlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from dedupd.adapters.fs.lock import private_folder
from dedupd.cli.console import answer, tell
from dedupd.config import PROXIES, Places, Settings, authority, places
from dedupd.errors import ExitCode, StateError, UsageError

UNIT, DROP_IN = "dedupd.service", "dedupd.service.d/here.conf"
LABEL = "dev.dedupd.daemon"
WEB_UNIT, WEB_DROP_IN = "dedupd-web.service", "dedupd-web.service.d/here.conf"
WEB_LABEL = "dev.dedupd.web"
PROXY_UNITS = "dedupd-proxy@.socket", "dedupd-proxy@.service"
_SHIPPED_START = "ExecStart=/usr/bin/env dedupd"
_SHIPPED_PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
_PROXY_PLACES = (
    _SHIPPED_PROXY,
    "/lib/systemd/systemd-socket-proxyd",
    "/run/current-system/systemd/lib/systemd/systemd-socket-proxyd",
)
_PASSED_ON = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_HUB_CACHE")
"""Environment variables that the service needs to find the same folders and models as this shell."""

Call = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a program; returns its exit status and everything it printed. 127: there is no such program."""


def _call(command: Sequence[str]) -> tuple[int, str]:
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as empty:
        # systemd-analyze asks for a runtime folder even when no session has set one.
        if command[0] == "systemd-analyze":
            env.setdefault("XDG_RUNTIME_DIR", empty)
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, errors="replace", env=env, timeout=60
            )
        except FileNotFoundError:
            return 127, f"{command[0]} is not installed"
        except subprocess.TimeoutExpired:
            return 124, f"{command[0]} did not answer within a minute"
    return done.returncode, (done.stdout + done.stderr).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This machine, as far as a service needs it; tests pass in another one."""

    platform: str = sys.platform
    python: str = sys.executable
    home: Path = field(default_factory=Path.home)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    call: Call = _call
    show: Callable[[Sequence[str]], int] = subprocess.call
    """Runs a program that writes to the terminal itself."""
    proxy: str = field(default_factory=lambda: next(filter(os.path.exists, _PROXY_PLACES), ""))
    """systemd-socket-proxyd; '' without one."""

    @property
    def units(self) -> Path:
        """The folder in which systemd looks for a user's own units."""
        return Path(self.env.get("XDG_CONFIG_HOME") or self.home / ".config") / "systemd/user"

    @property
    def agent(self) -> Path:
        """The path at which launchd looks for this user's agent."""
        return self.agent_of(LABEL)

    def agent_of(self, label: str) -> Path:
        """The path at which launchd looks for the agent of this name."""
        return self.home / f"Library/LaunchAgents/{label}.plist"

    @property
    def domain(self) -> str:
        """launchd's name for the login session of this user."""
        return f"gui/{os.getuid()}"


def install(where: Places, settings: Settings, host: Host, *, web: bool = False) -> None:
    """Write the service's files for these roots, and start it now and at every login; with `web`, also the
    page of `dedupd web`.

    Raises UsageError without roots or on another platform, StateError when the service manager fails.
    """
    if not settings.roots:
        raise UsageError(
            f"no folder to watch: set roots in {where.config}, or name them: dedupd service install ~/Pictures"
        )
    if web:
        _check_web(settings)
    private_folder(where.state)
    if _is_launchd(host):
        _install_agent(where, host, web=web)
    else:
        _install_unit(where, settings, host)
        if web:
            _start_unit(
                WEB_UNIT,
                {WEB_UNIT: render_web_unit(host), WEB_DROP_IN: render_web_drop_in(where, host)},
                host,
            )
    if web:
        answer(
            f"The page is at http://{settings.web.listen}: `dedupd web --address` prints it with the token that opens it."
        )
    answer(
        "dedupd runs now and will start with your login. Nothing moves before you agree: see `dedupd review`."
    )


def uninstall(host: Host) -> None:
    """Stop the service and remove its files; photos, state and settings stay."""
    if _is_launchd(host):
        host.call(["launchctl", "bootout", f"{host.domain}/{LABEL}"])
        if host.agent_of(WEB_LABEL).exists():
            host.call(["launchctl", "bootout", f"{host.domain}/{WEB_LABEL}"])
        files = [host.agent, host.agent_of(WEB_LABEL)]
    else:
        host.call(["systemctl", "--user", "disable", "--now", UNIT])
        if (host.units / WEB_UNIT).exists():
            host.call(["systemctl", "--user", "disable", "--now", WEB_UNIT])
        _stop_proxies(host)
        files = [host.units / name for name in (UNIT, DROP_IN, WEB_UNIT, WEB_DROP_IN, *PROXY_UNITS)]
    there = [file for file in files if file.exists()]
    for file in there:
        file.unlink()
    for drop_ins in ((host.units / name).parent for name in (DROP_IN, WEB_DROP_IN)):
        if drop_ins.is_dir() and not any(drop_ins.iterdir()):
            drop_ins.rmdir()
    if not _is_launchd(host):
        host.call(["systemctl", "--user", "daemon-reload"])
    answer(f"The service is gone; {'nothing else was touched' if there else 'it was not installed'}.")


def status(settings: Settings, host: Host) -> ExitCode:
    """Print whether the service is installed, runs, and may write to every root."""
    if _is_launchd(host):
        code, said = host.call(["launchctl", "print", f"{host.domain}/{LABEL}"])
        state = (
            match[1]
            if code == 0 and (match := re.search(r"^\s*state = (.+)$", said, re.MULTILINE))
            else "not running"
        )
        answer(f"{host.agent}: {'installed' if host.agent.exists() else 'not installed'}, {state}")
        return ExitCode.OK if state == "running" else ExitCode.NO_DAEMON
    unit = host.units / UNIT
    code, said = host.call(["systemctl", "--user", "is-active", UNIT])
    state = (
        said
        if code in (0, 3) and said in ("active", "activating", "inactive", "failed")
        else "systemd does not answer"
    )
    answer(f"{unit}: {'installed' if unit.exists() else 'not installed'}, {state}")
    if (host.units / WEB_UNIT).exists():
        _, said = host.call(["systemctl", "--user", "is-active", WEB_UNIT])
        answer(f"{host.units / WEB_UNIT}: installed, {said}")
    allowed = _read(host.units / DROP_IN)
    for root in settings.roots:
        if unit.exists() and _writable(root) not in allowed:
            answer(f"{root} is not open to the service yet: run `dedupd service install` again.")
    for sentence in closed_to(settings, host):
        answer(sentence)
    return ExitCode.OK if state == "active" else ExitCode.NO_DAEMON


def _is_launchd(host: Host) -> bool:
    if host.platform == "darwin":
        return True
    if host.platform.startswith("linux"):
        return False
    raise UsageError(
        "dedupd knows the services of systemd (Linux) and launchd (macOS); here, start `dedupd run` yourself"
    )


def shipped(folder: str, name: str) -> bytes:
    """A service file as shipped: from the installed package, else from the checkout."""
    package = resources.files("dedupd")
    for place in (package / "service_files" / name, Path(str(package)).parent / folder / name):
        if place.is_file():
            return place.read_bytes()
    raise StateError(f"the service file {name} is missing from this installation; install dedupd again")


# --- systemd


def render_unit(host: Host) -> str:
    """The shipped unit, with this interpreter."""
    return _started_here(UNIT, host)


def render_web_unit(host: Host) -> str:
    """The shipped unit of the web page, with this interpreter."""
    return _started_here(WEB_UNIT, host)


def _started_here(unit: str, host: Host) -> str:
    return (
        shipped("systemd", unit)
        .decode()
        .replace(_SHIPPED_START, f"ExecStart={_quoted(host.python)} -m dedupd")
    )


def render_drop_in(where: Places, settings: Settings, host: Host) -> str:
    """The part that only this machine knows: the paths that may be written, and where state and config are."""
    writable = (where.state, *settings.roots)
    return "\n".join([*_drop_in(writable, where, host), *_way_out(_proxies(settings)), ""])


def render_web_drop_in(where: Places, host: Host) -> str:
    """The same for the web page, which writes into the state folder only."""
    return "\n".join([*_drop_in((where.state,), where, host), ""])


def _drop_in(writable: Sequence[Path], where: Places, host: Host) -> Iterator[str]:
    yield from ("# Written by `dedupd service install`, and again by the next one.", "[Service]")
    yield from (_writable(folder) for folder in writable)
    yield from (
        f"Environment={_quoted(f'{name}={value}')}" for name, value in _environment(where, host).items()
    )


def _check_web(settings: Settings) -> None:
    """Raises UsageError for a web page that a service cannot serve."""
    if find_spec("uvicorn") is None or find_spec("fastapi") is None:
        raise UsageError("`dedupd web` needs what this installation lacks: pip install 'dedupd[web]'")
    address = settings.web.listen.rpartition(":")[0].strip("[]")
    if address != "localhost" and not ipaddress.ip_address(address).is_loopback:
        raise UsageError(
            f"web.listen is {settings.web.listen}: the service serves this machine alone; for others start "
            "`dedupd web --tls-cert CERTIFICATE` yourself"
        )


def render_proxies(host: Host) -> dict[str, str]:
    """The units that lead to one address each, by systemd's own proxy. StateError where there is none."""
    if not host.proxy:
        raise StateError(
            "this systemd has no systemd-socket-proxyd, by which a service without a network reaches one address: "
            "install it, or start `dedupd run` yourself"
        )
    return {
        name: shipped("systemd", name).decode().replace(_SHIPPED_PROXY, host.proxy) for name in PROXY_UNITS
    }


def closed_to(settings: Settings, host: Host) -> list[str]:
    """A sentence for each service elsewhere that the installed unit has no way to."""
    if settings.embedding.mode == "local" or not (host.units / UNIT).exists():
        return []
    allowed = _read(host.units / DROP_IN).split()
    return [
        f"{url} is not open to the service yet: run `dedupd service install` again."
        for url in settings.embedding.url
        if f"Wants={_proxy_to(url)}" not in allowed
    ]


def _proxies(settings: Settings) -> list[str]:
    """Units that lead to the services that embed elsewhere; none while it sees here. UsageError for an address that is no name of a unit."""
    return [] if settings.embedding.mode == "local" else [_proxy_to(url) for url in settings.embedding.url]


def _proxy_to(url: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:._-]+", authority(url)):
        raise UsageError(
            f"systemd cannot be told about {url}: write its address, such as http://192.168.1.9:8766"
        )
    return f"dedupd-proxy@{authority(url)}.socket"


def _way_out(proxies: Sequence[str]) -> Iterator[str]:
    """The unit keeps to itself: a socket stands for each address."""
    if proxies:
        yield f'Environment="{PROXIES}=%t/dedupd-proxies"'
        yield "[Unit]"
        for proxy in proxies:
            yield from (f"Wants={proxy}", f"After={proxy}")


def _writable(folder: Path) -> str:
    # '-': a root whose disk is not mounted must not keep the daemon from starting.
    return f"ReadWritePaths={_quoted(f'-{folder}')}"


def _quoted(text: str) -> str:
    if re.search(r'[\x00-\x1f\x7f"\\\ud800-\udfff]', text):
        raise UsageError(
            f"systemd cannot be told about {text!a}: rename the folder, or start `dedupd run` yourself"
        )
    return '"' + text.replace("%", "%%") + '"'


def _environment(where: Places, host: Host) -> dict[str, str]:
    passed = {name: host.env[name] for name in _PASSED_ON if host.env.get(name)}
    usual = places(env={})
    if where.state != usual.state:
        passed["DEDUPD_STATE_DIR"] = str(where.state)
    if where.config != usual.config:
        passed["DEDUPD_CONFIG"] = str(where.config)
    return passed


def _install_unit(where: Places, settings: Settings, host: Host) -> None:
    files = {UNIT: render_unit(host), DROP_IN: render_drop_in(where, settings, host)}
    if _proxies(settings):
        files |= render_proxies(host)
    _stop_proxies(host)  # those of addresses that are no longer meant
    _start_unit(UNIT, files, host)
    if _proxies(settings):
        tell(f"The service has no network but a way to {', '.join(settings.embedding.url)}, for embedding.")
    tell("To keep it running while you are logged out: loginctl enable-linger")


def _stop_proxies(host: Host) -> None:
    if (host.units / PROXY_UNITS[0]).exists():
        host.call(["systemctl", "--user", "stop", "dedupd-proxy@*.socket"])


def _start_unit(unit: str, files: Mapping[str, str], host: Host) -> None:
    with tempfile.TemporaryDirectory() as trial:
        _write(Path(trial), files)
        _verify(Path(trial) / unit, host)
    _write(host.units, files)
    for command in (["daemon-reload"], ["enable", unit], ["restart", unit]):
        code, said = host.call(["systemctl", "--user", *command])
        if code:
            why = _why_not(unit, command[0], code, said, host)
            raise StateError(f"{host.units / unit} is written, but systemd could not start it: {why}")


def _why_not(unit: str, step: str, code: int, said: str, host: Host) -> str:
    """Why this step failed and what to do: the reason that systemd stores with the unit, not the one it
    prints."""
    first = said.splitlines()[0] if said else f"exit status {code}"
    if step == "daemon-reload":  # nobody answers: there is no user manager without a login
        return (
            f"{first}; log in to a desktop or by ssh and run `dedupd service install` again, "
            "or start `dedupd run` yourself"
        )
    _, shown = host.call(["systemctl", "--user", "show", "-p", "Result", "-p", "ExecMainStatus", unit])
    facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    ended = facts.get("ExecMainStatus", "0")
    if step != "restart" or not ended.isdigit():
        return first
    return _reason(int(ended), facts.get("Result", "")) or first


def _reason(status: int, result: str) -> str:
    match status:
        case _ if result in ("timeout", "watchdog"):
            return f"it gave no sign of life in time ({result}); `dedupd run` in a terminal shows what takes so long"
        case 0:
            return ""
        case ExitCode.USAGE:
            return "dedupd cannot follow its settings; `dedupd run` in a terminal says which"
        case ExitCode.LOCKED:
            return "another dedupd works with these folders already; stop it first"
        case 226:
            return "it cannot set up the unit's sandbox here (226/NAMESPACE); `dedupd doctor` says which lines of it"
        case _ if status >= 200:
            return f"it could not prepare the process (status {status}); `systemctl --user status dedupd` says why"
        case _:
            return f"dedupd ended with status {status} at once; `dedupd run` in a terminal says why"


def _verify(unit: Path, host: Host) -> None:
    """Let systemd check the unit before it replaces a working one. Raises StateError when it finds a fault in
    it."""
    code, said = host.call(["systemd-analyze", "--user", "verify", str(unit)])
    faults = [line for line in said.splitlines() if unit.name in line]
    if faults:
        raise StateError(f"systemd does not accept the unit: {faults[0].replace(str(unit.parent) + '/', '')}")
    if code:
        tell(f"The unit could not be verified: {said.splitlines()[0] if said else code}.")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StateError(f"{file} cannot be written: {error.strerror}") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def logs(where: Places, host: Host, *, follow: bool) -> int:
    """Print what the service logged lately, with the program that stores it; returns its exit status. Raises
    StateError without one."""
    log = where.logs / "launchd.log"
    if _is_launchd(host):
        if not log.exists():
            raise StateError(f"there is no {log} yet: `dedupd service status` says whether the service runs")
        command = ["tail", "-n", "200", *(["-f"] if follow else []), str(log)]
    else:
        command = [
            "journalctl",
            "--user",
            "--unit",
            UNIT,
            "--lines",
            "200",
            "--no-pager",
            *(["--follow"] if follow else []),
        ]
    try:
        return host.show(command)
    except FileNotFoundError:
        raise StateError(
            f"{command[0]} is not installed: `dedupd run` in a terminal shows the same"
        ) from None


# --- launchd (unverified on a real Mac)


def render_agent(where: Places, host: Host, label: str = LABEL) -> bytes:
    """The shipped agent, with this interpreter, and its log in the state folder."""
    agent = plistlib.loads(shipped("launchd", f"{label}.plist"))
    log = str(where.logs / ("launchd.log" if label == LABEL else "launchd-web.log"))
    agent["ProgramArguments"] = [host.python, "-m", *agent["ProgramArguments"][1:]]
    agent["EnvironmentVariables"] |= _environment(where, host)
    agent |= {"StandardOutPath": log, "StandardErrorPath": log}
    return plistlib.dumps(agent)


def _install_agent(where: Places, host: Host, *, web: bool) -> None:
    where.logs.mkdir(mode=0o700, exist_ok=True)
    for label in (LABEL, WEB_LABEL) if web else (LABEL,):
        agent = host.agent_of(label)
        _write(agent.parent, {agent.name: render_agent(where, host, label).decode()})
        # bootstrap refuses an agent that is already loaded, perhaps an older one.
        host.call(["launchctl", "bootout", f"{host.domain}/{label}"])
        for command in (["enable", f"{host.domain}/{label}"], ["bootstrap", host.domain, str(agent)]):
            code, said = host.call(["launchctl", *command])
            if code:
                raise StateError(
                    f"{agent} is written, but launchd could not start it ({said or code}): log in to the desktop and "
                    "run `dedupd service install` again, or start `dedupd run` yourself"
                )
    tell(
        f"If macOS keeps {host.python} out of your photos: System Settings, Privacy & Security, Full Disk Access."
    )
