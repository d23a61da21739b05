"""`python -m dedupd`: what the service files start. Must never hold logic of its own."""

from __future__ import annotations

import sys

from dedupd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
