"""`dedupd service`: what is rendered, what the service manager is asked, what is taken away again."""

from __future__ import annotations

import argparse
import plistlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.cli.commands import service
from dedupd.cli.first_config import write_config
from dedupd.cli.login_service import (
    Host,
    install,
    logs,
    render_agent,
    render_drop_in,
    render_proxies,
    render_unit,
    render_web_drop_in,
    render_web_unit,
    shipped,
    status,
    uninstall,
)
from dedupd.cli.sandbox import in_force, refused_lines
from dedupd.config import Embedding, Places, Settings, Web, load, places
from dedupd.errors import ExitCode, StateError, UsageError


class Programs:
    """Plays systemctl and launchctl: remembers what was asked, answers as told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, str]] = {}

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        asked = " ".join(command)
        self.asked.append(asked)
        return next((answer for words, answer in self.answers.items() if words in asked), (0, ""))


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def linux(tmp_path: Path, programs: Programs) -> Host:
    return Host(
        platform="linux",
        python="/opt/my venv/bin/python",
        home=tmp_path / "home",
        env={},
        call=programs,
        proxy="/opt/proxyd",
    )


@pytest.fixture
def mac(linux: Host) -> Host:
    return replace(linux, platform="darwin")


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return places(tmp_path / "state", tmp_path / "config.toml")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(roots=(tmp_path / "My Pictures", Path("/mnt/100% photos")))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- systemd


def test_the_unit_starts_this_very_interpreter(linux: Host) -> None:
    unit = render_unit(linux)
    starts = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert starts == ['ExecStart="/opt/my venv/bin/python" -m dedupd run']


def test_only_the_roots_and_the_state_are_writable(linux: Host, where: Places, settings: Settings) -> None:
    lines = render_drop_in(where, settings, linux).splitlines()
    assert [line for line in lines if line.startswith("ReadWritePaths=")] == [
        f'ReadWritePaths="-{where.state}"',
        f'ReadWritePaths="-{settings.roots[0]}"',
        'ReadWritePaths="-/mnt/100%% photos"',
    ]
    unit = render_unit(linux).splitlines()
    assert "ProtectSystem=strict" in unit
    assert "ProtectHome=read-only" in unit
    assert not [line for line in unit if line.startswith("ReadWritePaths")]


def test_the_service_finds_the_folders_of_this_shell(linux: Host, where: Places, settings: Settings) -> None:
    text = render_drop_in(where, settings, replace(linux, env={"HF_HOME": "/models", "SECRET": "x"}))
    assert f'Environment="DEDUPD_STATE_DIR={where.state}"' in text
    assert f'Environment="DEDUPD_CONFIG={where.config}"' in text
    assert 'Environment="HF_HOME=/models"' in text
    assert "SECRET" not in text
    assert "DEDUPD_" not in render_drop_in(places(env={}), settings, linux)


def test_without_services_elsewhere_the_unit_has_no_network(
    linux: Host, where: Places, settings: Settings
) -> None:
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"} <= set(render_unit(linux).splitlines())
    named = replace(settings, embedding=Embedding(url=("http://192.168.1.9:8766",)))
    for each in (settings, named):  # an address alone opens nothing
        text = render_drop_in(where, each, linux)
        assert not any(word in text for word in ("Network", "AF_INET", "IPAddress"))


ELSEWHERE = Embedding(
    mode="auto", url=("http://192.168.1.9:8766", "https://[fd00::9]/eyes", "https://cellar:9")
)
PROXIES = ["192.168.1.9:8766", "fd00::9:443", "cellar:9"]


def test_the_unit_has_a_way_to_the_services_that_embed_and_no_network(
    linux: Host, where: Places, settings: Settings
) -> None:
    lines = render_drop_in(where, replace(settings, embedding=ELSEWHERE), linux).splitlines()
    assert 'Environment="DEDUPD_PROXIES=%t/dedupd-proxies"' in lines[: lines.index("[Unit]")]
    assert lines[lines.index("[Unit]") + 1 :] == [
        f"{word}=dedupd-proxy@{address}.socket" for address in PROXIES for word in ("Wants", "After")
    ]
    assert not any(word in line for line in lines for word in ("Network", "AF_INET", "IPAddress"))
    told = render_proxies(linux)
    assert "\nExecStart=/opt/proxyd %i\n" in told["dedupd-proxy@.service"]
    assert "\nListenStream=%t/dedupd-proxies/%i\n" in told["dedupd-proxy@.socket"]
    odd = replace(settings, embedding=Embedding(mode="remote", url=("http://[fe80::1%25eth0]:8766",)))
    with pytest.raises(UsageError, match="write its address"):
        render_drop_in(where, odd, linux)


def test_the_proxies_come_and_go_with_the_service(
    linux: Host, where: Places, settings: Settings, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = replace(settings, embedding=ELSEWHERE)
    with pytest.raises(StateError, match="systemd-socket-proxyd"):
        install(where, remote, replace(linux, proxy=""))
    assert tree(linux.home) == []
    install(where, settings, linux)
    status(remote, linux)
    said = capsys.readouterr().out
    assert all(f"{url} is not open to the service yet" in said for url in ELSEWHERE.url)
    install(where, remote, linux)
    assert "no network but a way to http://192.168.1.9:8766, " in capsys.readouterr().err
    assert {"dedupd-proxy@.service", "dedupd-proxy@.socket"} < set(tree(linux.units))
    assert status(remote, linux) is not None and "not open" not in capsys.readouterr().out
    asked = programs.asked
    assert "systemctl --user stop dedupd-proxy@*.socket" not in asked, "there were none"
    install(where, remote, linux)
    assert asked.index("systemctl --user stop dedupd-proxy@*.socket") < len(asked) - 3
    uninstall(linux)
    assert tree(linux.units) == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_no_fault_in_the_proxies(
    tmp_path: Path, linux: Host, where: Places, settings: Settings
) -> None:
    here = replace(linux, python=shutil.which("python3") or "/bin/sh", proxy="/bin/cat")
    for name, text in render_proxies(here).items():
        (tmp_path / name).write_text(text)
        (tmp_path / name.replace("@", "@x")).write_text(text)
    (tmp_path / "dedupd.service").write_text(render_unit(here))
    (tmp_path / "dedupd.service.d").mkdir()
    drop_in = render_drop_in(where, replace(settings, embedding=ELSEWHERE), here)
    (tmp_path / "dedupd.service.d/here.conf").write_text(drop_in)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    units = ["dedupd.service", "dedupd-proxy@x.socket", "dedupd-proxy@x.service"]
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *(str(tmp_path / unit) for unit in units)],
        check=False, capture_output=True, text=True, env=env, timeout=60,
    )  # fmt: skip
    assert "dedupd" not in done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["a\nExecStart=x", 'a"b', "a\\b", "a\udcff"])
def test_a_path_that_systemd_would_misread_is_refused(name: str, linux: Host, where: Places) -> None:
    with pytest.raises(UsageError, match="systemd cannot be told"):
        render_drop_in(where, Settings(roots=(Path("/photos") / name,)), linux)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("rendered", [False, True])
def test_systemd_finds_no_fault_in_the_unit(
    rendered: bool, tmp_path: Path, linux: Host, where: Places, settings: Settings
) -> None:
    unit = tmp_path / "dedupd.service"
    unit.write_bytes(shipped("systemd", unit.name))
    if rendered:
        here = replace(linux, python=shutil.which("python3") or "/bin/sh")
        unit.write_text(render_unit(here))
        (tmp_path / "dedupd.service.d").mkdir()
        (tmp_path / "dedupd.service.d/here.conf").write_text(render_drop_in(where, settings, here))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        check=False, capture_output=True, text=True, env=env, timeout=60,
    )  # fmt: skip
    assert "dedupd" not in done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit_of_the_page(tmp_path: Path, linux: Host, where: Places) -> None:
    here = replace(linux, python=shutil.which("python3") or "/bin/sh")
    (tmp_path / "dedupd-web.service").write_text(render_web_unit(here))
    (tmp_path / "dedupd-web.service.d").mkdir()
    (tmp_path / "dedupd-web.service.d/here.conf").write_text(render_web_drop_in(where, here))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(tmp_path / "dedupd-web.service")],
        check=False, capture_output=True, text=True, env=env, timeout=60,
    )  # fmt: skip
    assert "dedupd" not in (done.stdout + done.stderr).replace("dedupd.service", ""), done.stderr


def test_the_page_writes_its_state_alone_and_speaks_with_this_machine_alone(
    linux: Host, where: Places
) -> None:
    unit = render_web_unit(linux).splitlines()
    assert 'ExecStart="/opt/my venv/bin/python" -m dedupd web --by-service' in unit
    assert {
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
    } <= set(unit)
    lines = render_web_drop_in(where, linux).splitlines()
    assert [line for line in lines if line.startswith("ReadWrite")] == [f'ReadWritePaths="-{where.state}"']


def test_the_page_is_installed_beside_the_daemon_when_asked_for_and_goes_with_it(
    linux: Host, where: Places, settings: Settings, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    install(where, settings, linux, web=True)
    assert tree(linux.units) == [
        "dedupd-web.service", "dedupd-web.service.d/here.conf", "dedupd.service", "dedupd.service.d/here.conf",
    ]  # fmt: skip
    assert programs.asked[-2:] == [
        "systemctl --user enable dedupd-web.service", "systemctl --user restart dedupd-web.service",
    ]  # fmt: skip
    assert "http://127.0.0.1:8765" in capsys.readouterr().out
    status(settings, linux)
    assert "dedupd-web.service: installed" in capsys.readouterr().out
    install(where, settings, linux)
    assert "dedupd-web.service" in tree(linux.units), "installing the daemon again leaves the page"
    uninstall(linux)
    assert tree(linux.units) == []
    assert "systemctl --user disable --now dedupd-web.service" in programs.asked


def test_a_page_that_a_service_cannot_serve_is_refused_before_anything_is_written(
    linux: Host, where: Places, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="this machine alone"):
        install(where, replace(settings, web=Web(listen="0.0.0.0:8765")), linux, web=True)
    monkeypatch.setattr("dedupd.cli.login_service.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install"):
        install(where, settings, linux, web=True)
    assert tree(linux.home) == []


def test_install_writes_verifies_and_starts(
    linux: Host, where: Places, settings: Settings, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    install(where, settings, linux)
    assert tree(linux.home) == [
        ".config/systemd/user/dedupd.service",
        ".config/systemd/user/dedupd.service.d/here.conf",
    ]
    assert programs.asked[0].startswith("systemd-analyze --user verify ")
    assert programs.asked[1:] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable dedupd.service",
        "systemctl --user restart dedupd.service",
    ]
    assert where.state.stat().st_mode & 0o777 == 0o700, "the sandbox cannot make it"
    assert "Nothing moves before you agree" in capsys.readouterr().out


def test_a_unit_that_systemd_does_not_accept_replaces_nothing(
    linux: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    programs.answers["verify"] = (
        1,
        "/tmp/x/dedupd.service:7: Unknown key name 'Foo' in section 'Service', ignoring.",
    )
    with pytest.raises(StateError, match=r"systemd does not accept the unit.*Unknown key name"):
        install(where, settings, linux)
    assert not linux.home.exists()


def test_where_systemd_does_not_run_it_is_told(
    linux: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    programs.answers["systemctl"] = (1, "Failed to connect to bus: No such file or directory\nmore")
    with pytest.raises(StateError, match="is written, but systemd could not start it") as caught:
        install(where, settings, linux)
    assert "Failed to connect to bus" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("Result=exit-code\nExecMainStatus=226", "cannot set up the unit's sandbox here (226/NAMESPACE); `dedupd doctor`"),
        ("Result=exit-code\nExecMainStatus=203", "could not prepare the process (status 203)"),
        ("Result=exit-code\nExecMainStatus=2", "dedupd cannot follow its settings"),
        ("Result=exit-code\nExecMainStatus=4", "another dedupd works with these folders"),
        ("Result=exit-code\nExecMainStatus=1", "dedupd ended with status 1 at once"),
        ("Result=timeout\nExecMainStatus=15", "no sign of life in time (timeout)"),
        ("", "Job for dedupd.service failed."),
    ],
)  # fmt: skip
def test_why_it_does_not_start_is_what_systemd_knows_of_it(
    shown: str, told: str, linux: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    programs.answers = {"restart": (1, "Job for dedupd.service failed.\nSee"), "show": (0, shown)}
    with pytest.raises(StateError, match="is written, but systemd could not start it") as caught:
        install(where, settings, linux)
    assert told in str(caught.value)
    assert "log in" not in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({}, []),
        ({"ProtectKernelLogs": (226, ""), "ProtectClock": (226, "")}, ["ProtectKernelLogs=yes", "ProtectClock=yes"]),
        ({"": (1, "Failed to connect to bus")}, None),
        ({"": (127, "systemd-run is not installed")}, None),
    ],
)  # fmt: skip
def test_the_lines_of_the_sandbox_that_a_machine_refuses_are_found_one_by_one(
    answers: dict[str, tuple[int, str]], found: list[str] | None, linux: Host, programs: Programs
) -> None:
    programs.answers = answers
    assert refused_lines(linux) == found
    whole = programs.asked[0]
    assert "ProtectSystem=strict" in whole and "SystemCallFilter=~@privileged" in whole
    assert not [asked for asked in programs.asked[1:] if "-p PrivateUsers=yes -p " not in asked]


def test_a_line_that_its_owner_switched_off_is_in_no_ones_way(
    linux: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    lines = ["ProtectKernelLogs=yes", "ProtectClock=yes"]
    assert in_force(linux, lines) == []  # nothing is installed
    install(where, settings, linux)
    assert in_force(linux, lines) == lines
    programs.answers["show"] = (0, "ProtectKernelLogs=no\nProtectClock=yes\nId=dedupd.service")
    assert in_force(linux, lines) == ["ProtectClock=yes"]


def test_a_service_without_roots_is_refused(linux: Host, where: Places) -> None:
    with pytest.raises(UsageError, match="no folder to watch"):
        install(where, Settings(), linux)


def test_uninstall_takes_away_what_install_wrote_and_nothing_else(
    linux: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    install(where, settings, linux)
    (linux.units / "other.service").write_text("")
    (linux.units / "dedupd.service.d/mine.conf").write_text("")
    programs.asked.clear()
    uninstall(linux)
    assert tree(linux.units) == ["dedupd.service.d/mine.conf", "other.service"]
    assert programs.asked == [
        "systemctl --user disable --now dedupd.service",
        "systemctl --user daemon-reload",
    ]
    (linux.units / "dedupd.service.d/mine.conf").unlink()
    uninstall(linux)
    assert not (linux.units / "dedupd.service.d").exists()


@pytest.mark.parametrize(
    ("answer", "code", "shown"),
    [
        ((0, "active"), ExitCode.OK, "active"),
        ((3, "failed"), ExitCode.NO_DAEMON, "failed"),
        ((1, "Failed to connect to bus"), ExitCode.NO_DAEMON, "systemd does not answer"),
        ((127, "systemctl is not installed"), ExitCode.NO_DAEMON, "systemd does not answer"),
    ],
)
def test_status_says_whether_it_runs(
    answer: tuple[int, str],
    code: ExitCode,
    shown: str,
    linux: Host,
    programs: Programs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs.answers["is-active"] = answer
    assert status(Settings(), linux) == code
    assert f"not installed, {shown}" in capsys.readouterr().out


def test_status_names_a_root_that_the_service_may_not_write_to(
    linux: Host, where: Places, settings: Settings, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    install(where, settings, linux)
    programs.answers["is-active"] = (0, "active")
    capsys.readouterr()
    status(replace(settings, roots=(*settings.roots, Path("/new"))), linux)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "not open to the service" in line] == [
        "/new is not open to the service yet: run `dedupd service install` again."
    ]


def test_where_there_is_neither_systemd_nor_launchd_it_is_told(
    linux: Host, where: Places, settings: Settings
) -> None:
    with pytest.raises(UsageError, match="start `dedupd run` yourself"):
        install(where, settings, replace(linux, platform="freebsd14"))


def test_on_a_machine_without_a_session_the_command_ends_with_one_sentence(
    where: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pictures").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises((StateError, UsageError)) as caught:
        service.run(
            argparse.Namespace(
                action="install",
                roots=[tmp_path / "Pictures"],
                web=False,
                state_dir=where.state,
                config=where.config,
            )
        )
    assert "\n" not in str(caught.value)
    assert load(where.config).roots == (tmp_path / "Pictures",)


# --- config.toml for it


def test_install_never_replaces_a_config(where: Places) -> None:
    where.config.write_text("batch_size = 3")
    with pytest.raises(UsageError, match="already"):
        write_config(where.config, [Path("/photos")])
    assert where.config.read_text() == "batch_size = 3"


# --- launchd


def test_the_agent_starts_this_interpreter_and_logs_into_the_state_folder(mac: Host, where: Places) -> None:
    agent = plistlib.loads(render_agent(where, mac))
    assert agent["Label"] == "dev.dedupd.daemon"
    assert agent["ProgramArguments"] == ["/opt/my venv/bin/python", "-m", "dedupd", "run"]
    assert agent["StandardErrorPath"] == str(where.logs / "launchd.log")
    assert agent["EnvironmentVariables"]["DEDUPD_STATE_DIR"] == str(where.state)
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["Umask"] == 0o077


def test_install_on_a_mac_loads_the_agent(
    mac: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    install(where, settings, mac)
    assert tree(mac.home) == ["Library/LaunchAgents/dev.dedupd.daemon.plist"]
    assert [command.split()[1] for command in programs.asked] == ["bootout", "enable", "bootstrap"]
    assert programs.asked[-1].endswith(str(mac.agent))
    uninstall(mac)
    assert tree(mac.home) == []


def test_on_a_mac_the_page_is_an_agent_of_its_own(
    mac: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    install(where, settings, mac, web=True)
    agent = plistlib.loads(mac.agent_of("dev.dedupd.web").read_bytes())
    assert agent["ProgramArguments"] == ["/opt/my venv/bin/python", "-m", "dedupd", "web", "--by-service"]
    assert agent["StandardOutPath"].endswith("launchd-web.log") and agent["Label"] == "dev.dedupd.web"
    uninstall(mac)
    assert tree(mac.home) == []
    assert f"launchctl bootout {mac.domain}/dev.dedupd.web" in programs.asked


def test_an_agent_that_launchd_refuses_is_told(
    mac: Host, where: Places, settings: Settings, programs: Programs
) -> None:
    programs.answers["bootstrap"] = (5, "Bootstrap failed: 5: Input/output error")
    with pytest.raises(StateError, match="launchd could not start it"):
        install(where, settings, mac)


def test_status_on_a_mac_reads_what_launchd_prints(
    mac: Host, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.answers["print"] = (0, "gui/501/dev.dedupd.daemon = {\n\tactive count = 1\n\tstate = running\n}")
    assert status(Settings(), mac) == ExitCode.OK
    programs.answers["print"] = (113, "Could not find service")
    assert status(Settings(), mac) == ExitCode.NO_DAEMON
    assert "not installed, not running" in capsys.readouterr().out


@pytest.mark.parametrize("follow", [False, True])
def test_logs_are_shown_by_the_journal(where: Places, tmp_path: Path, follow: bool) -> None:
    asked: list[str] = []
    host = Host(platform="linux", home=tmp_path, env={}, show=lambda command: asked.extend(command) or 0)
    assert logs(where, host, follow=follow) == 0
    assert asked[:4] == ["journalctl", "--user", "--unit", "dedupd.service"]
    assert ("--follow" in asked) is follow


def test_logs_on_a_mac_are_a_file(where: Places, tmp_path: Path) -> None:
    asked: list[str] = []
    host = Host(platform="darwin", home=tmp_path, env={}, show=lambda command: asked.extend(command) or 0)
    with pytest.raises(StateError, match=r"launchd\.log"):
        logs(where, host, follow=False)
    where.logs.mkdir(parents=True)
    (where.logs / "launchd.log").write_text("x")
    assert logs(where, host, follow=True) == 0 and "-f" in asked


def test_logs_without_a_journal_say_so(where: Places, tmp_path: Path) -> None:
    def nothing(command: object) -> int:
        raise FileNotFoundError

    with pytest.raises(StateError, match="journalctl is not installed"):
        logs(where, Host(platform="linux", home=tmp_path, env={}, show=nothing), follow=False)
