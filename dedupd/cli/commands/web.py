"""`dedupd web`: the reviewer and the JSON API over HTTP. The server is imported only here, when it is needed."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, deliver, tell
from dedupd.cli.options import Commands, add_beyond_this_machine, add_command
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.web.listening import Listen
    from dedupd.web.tokens import Tokens


def add(commands: Commands) -> None:
    """The options of `dedupd web`."""
    parser = add_command(
        commands,
        "web",
        run,
        help="review in a browser, and the JSON API, behind a token (needs dedupd[web])",
        example="dedupd web --listen 127.0.0.1:8765",
        topic="web",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="address and port, port 0 for a free one (default: config.toml's, else 127.0.0.1:8765)",
    )
    add_beyond_this_machine(parser)
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument(
        "--address",
        action="store_true",
        help="only print where it is to be opened, with the token: for one that a service runs",
    )
    parser.add_argument(
        "--by-service",
        action="store_true",
        help="print no token (a journal would keep it), and start no daemon: it has a service of its own",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C. Raises UsageError without the extra `web`, or for an address that cannot be served."""
    # FastAPI may load OpenTelemetry: it must never send measurements.
    os.environ["OTEL_SDK_DISABLED"] = "true"
    try:
        from dedupd.web.listening import listen_on
        from dedupd.web.serve import serve
        from dedupd.web.tokens import token_in
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dedupd"):
            raise
        raise UsageError(
            "`dedupd web` needs what this installation lacks: pip install 'dedupd[web]'"
        ) from None
    from dedupd.cli.opening import opened, own_command

    settings, places = opened(arguments)
    listen = listen_on(
        arguments.listen or settings.web.listen, tls_cert=arguments.tls_cert, tls_key=arguments.tls_key,
        insecure_lan=arguments.insecure_lan,
    )  # fmt: skip

    if arguments.address:
        token = token_in(places.state / "web.token")
        answer(f"{listen.url}/?token={token}")
        return ExitCode.OK

    def told(at: Listen, tokens: Tokens) -> None:
        if arguments.by_service:
            answer(f"{at.url} is served; `dedupd web --address` prints it with its token")
            deliver()
            return
        answer(f"{at.url}/?token={tokens.token}")
        tell(
            "Open that address in a browser; Ctrl+C here ends it. "
            "The token for scripts lies in web.token of the state folder."
        )
        deliver()
        if arguments.open:
            import webbrowser

            # Other users can read a browser's command line, so the token that stands there works only once.
            webbrowser.open(f"{at.url}/?token={tokens.ticket()}")

    start_command = [] if arguments.by_service else own_command(arguments, "run")
    serve(settings, places, listen, told, start_command=start_command)
    return int(ExitCode.OK)
