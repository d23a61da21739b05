"""Prints the content ids of the index, one per line; started by content_ids.py.

    python -m dedupd.adapters.vision.list_contents FOLDER MODEL RECIPE

Must never create, repair or set aside anything: an index that cannot be read is reported.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dedupd.adapters.index.lance import contents_of
from dedupd.errors import VisionError


def main(folder: str, model: str, recipe: str) -> None:
    try:
        for content in contents_of(Path(folder), model, recipe):
            print(content)
    except VisionError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
