"""A worker that dies whenever it looks for cards, as with a broken driver; without cards it answers. Started as a process."""

from __future__ import annotations

import os

from dedupd.adapters.vision import messages
from dedupd.core.photo import Unreadable


def main() -> None:
    """Until stdin closes."""
    unframer, gpus = messages.Unframer(), ""

    def send(message: messages.Message) -> None:
        os.write(1, messages.frame(message))

    while part := os.read(0, 1 << 16):
        unframer.feed(part)
        while (body := unframer.next()) is not None:
            request = messages.requests.decode(body)
            match request:
                case messages.Configure():
                    gpus = request.gpus
                    send(messages.Ready(model="", recipe="2", calibrated=True, note=""))
                case messages.Load():
                    send(messages.Busy(what=messages.LOADING, begins=True))
                    if gpus == "crash at once":
                        os.abort()
                    send(messages.Busy(what=messages.LOADING, begins=False))
                case messages.Ingest():
                    _look(request, gpus, send)
                case _:
                    pass
            send(messages.Done())


def _look(request: messages.Ingest, gpus: str, send: object) -> None:
    assert callable(send)
    for file in request.files:
        send(messages.Begun(key=file.key))
    if gpus != "0":
        send(messages.Busy(what=messages.LOADING, begins=True))
        os.abort()
    for file in request.files:
        seen = Unreadable(reason="seen without cards")
        send(messages.FileIngested(key=file.key, traits=None, unreadable=seen, decoded=True))


if __name__ == "__main__":
    main()
