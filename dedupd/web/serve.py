"""Puts `dedupd web` together: its folder, its token, its application, and the address it listens on.

Must never listen before all of them are ready.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dedupd.config import Places, Settings
from dedupd.web.access_control import site_of
from dedupd.web.asgi_app import app_of, own_folder, parts, with_access_control
from dedupd.web.listening import Listen, at_port_of, bound, serve_on
from dedupd.web.rendering import compile_all
from dedupd.web.tokens import Tokens, token_in


def serve(
    settings: Settings, places: Places, listen: Listen, opened: Callable[[Listen, Tokens], None],
    start_command: Sequence[str] = (),
) -> None:  # fmt: skip
    """Serve until SIGINT or SIGTERM. `opened` is called as soon as the address answers. `start_command`:
    starts a daemon.

    Raises UsageError, AlreadyRunning.
    """
    with own_folder(places) as folder, bound(listen) as socket_:
        at = at_port_of(socket_, listen)
        tokens = Tokens(token_in(places.state / "web.token"))
        site = site_of(at.address, at.port, tls=at.tls_cert is not None)
        app = with_access_control(app_of(parts(settings, places, folder, start_command)), site, tokens)
        threading.Thread(target=compile_all, name="web-templates", daemon=True).start()
        serve_on(socket_, at, app, lambda at: opened(at, tokens))
