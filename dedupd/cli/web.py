"""`dedupd web`: the reviewer and the JSON API over HTTP. What serves is imported only here, when asked for."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, deliver, tell
from dedupd.cli.opening import opened
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.web.server import Listen
    from dedupd.web.tokens import Tokens


def web(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C. Raises UsageError without the extra, or for an address that cannot be served."""
    # FastAPI brings OpenTelemetry's switchboard: nothing is ever to be measured through it.
    os.environ.setdefault("OTEL_SDK_DISABLED", "true")
    try:
        from dedupd.web.server import listen_on, serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dedupd"):
            raise
        raise UsageError(
            "`dedupd web` needs what this installation lacks: pip install 'dedupd[web]'"
        ) from None
    settings, places = opened(arguments)
    listen = listen_on(
        arguments.listen or settings.web.listen, tls_cert=arguments.tls_cert, tls_key=arguments.tls_key,
        insecure_lan=arguments.insecure_lan,
    )  # fmt: skip

    def told(at: Listen, tokens: Tokens) -> None:
        answer(f"{at.url}/?token={tokens.token}")
        tell(
            "Open that address in a browser; Ctrl+C here ends it. The token for scripts lies in web.token of the state folder."
        )
        deliver()
        if arguments.open:
            import webbrowser

            # Other users can read a browser's command line: what stands there opens the door once.
            webbrowser.open(f"{at.url}/?token={tokens.ticket()}")

    serve(settings, places, listen, told)
    return int(ExitCode.OK)
