"""Asks one service for its model: `python -m dedupd.adapters.vision.remote URL EMBEDDER PROTOCOL TOKEN_FILE
CA_FILE`.

For `dedupd doctor`, which loads no picture library. Prints one sentence; exit 1 when the service cannot be
used.
"""

from __future__ import annotations

import sys

from dedupd.adapters.vision.embedders.registry import HASHES, choose, settle
from dedupd.adapters.vision.remote.dialects import dialect_for
from dedupd.adapters.vision.remote.endpoints import RemoteFailure, token_from
from dedupd.errors import DedupdError


def main() -> int:
    """Ask, print, and return the exit code."""
    url, embedder, protocol, token_file, ca_file = sys.argv[1:6]
    try:
        model = settle(choose(embedder)[0])
        if model == HASHES:
            print(f"hashes alone need no service, and {url} is not asked")
            return 0
        dialect = dialect_for(protocol, model)
        shape = dialect.describe(dialect.open(url, token_from(token_file), ca_file))
    except (DedupdError, RemoteFailure) as error:
        print(error)
        return 1
    print(f"{url} sees with {model.id}, {shape.dimensions} numbers a picture")
    return 0


if __name__ == "__main__":
    sys.exit(main())
