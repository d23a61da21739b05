"""`dedupd service`: starts dedupd at each login. How that is done is in cli/login_service.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from dedupd.cli.options import Commands, add_command
from dedupd.errors import ExitCode


def add(commands: Commands) -> None:
    """The options of `dedupd service`."""
    parser = add_command(
        commands,
        "service",
        run,
        help="start dedupd with your login (systemd, launchd)",
        example="dedupd service install ~/Pictures   |   dedupd service logs -f",
        topic="service",
    )
    parser.add_argument("action", choices=("install", "uninstall", "status", "logs"))
    parser.add_argument(
        "roots", nargs="*", type=Path, metavar="ROOT", help="folders to write into a new config.toml"
    )
    parser.add_argument(
        "--web",
        action="store_true",
        help="install: the page of `dedupd web` too, at config.toml's web.listen, for this machine",
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="logs: go on with what is said from now on"
    )


def run(arguments: argparse.Namespace) -> int:
    """`status` returns exit code 5 when the service does not run."""
    from dedupd.cli.first_config import write_config
    from dedupd.cli.login_service import Host, install, logs, status, uninstall
    from dedupd.config import load, places

    host, where = Host(), places(arguments.state_dir, arguments.config)
    if arguments.action == "install":
        if arguments.roots:
            write_config(where.config, arguments.roots)
        install(where, load(where.config, where, offline_ok=True), host, web=arguments.web)
        return ExitCode.OK
    if arguments.action == "logs":
        return logs(where, host, follow=arguments.follow)
    if arguments.action == "uninstall":
        uninstall(host)
        return ExitCode.OK
    return status(load(None, where, offline_ok=True), host)
