"""The pictures of README, made anew: the reviewer in a terminal and in a browser, over one painted gallery.

    python .readme/draw.py            needs dedupd with its `web` extra, selenium, Chromium and chromedriver

Owns nothing that dedupd needs; its tests and its package are without it.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from dedupd.client.connection import ask
from dedupd.config import Places, places
from dedupd.errors import NoDaemon
from dedupd.protocol.requests import GetGroups, GetStatus
from dedupd.protocol.results import GroupsPage
from dedupd.protocol.views import StatusView
from dedupd.tui.app import ReviewApp

HERE = Path(__file__).parent
CELLS = (132, 40)
PAGE = (1280, 800)
PHOTOS = 40


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dedupd-readme-") as folder:
        home = Path(folder)
        gallery = home / "Pictures"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "dedupd.bench.gallery",
                str(gallery),
                "--seed",
                "5",
                "--photos",
                str(PHOTOS),
            ],
            check=True,
        )
        where = places(home / "state", home / "config.toml")
        where.config.write_text(f'roots = ["{gallery}"]\n[schedule]\nquiet_seconds = 1.0\n', encoding="utf-8")
        told = ["--state-dir", str(where.state), "--config", str(where.config)]
        command = [sys.executable, "-m", "dedupd", *told]
        daemon = subprocess.Popen([*command, "run"])
        web = subprocess.Popen(
            [*command, "web", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        try:
            shown = settled(where)
            asyncio.run(terminal(where, home / "terminal.svg"))
            assert web.stdout is not None
            photograph(web.stdout.readline().strip(), shown, home / "terminal.svg")
        finally:
            for process in (web, daemon):
                process.terminate()
                process.wait(30)


def settled(where: Places) -> int:
    """Waits until the daemon has nothing to do. Returns a group with copies to show."""
    for _ in range(600):
        try:
            status = ask(where.socket, GetStatus(), StatusView)
            if status.photos and not status.busy and not status.months_waiting:
                groups = ask(where.socket, GetGroups(), GroupsPage).groups
                return max(groups, key=lambda group: (group.relation == "copy", len(group.duplicates))).id
        except NoDaemon:
            pass
        time.sleep(0.5)
    raise SystemExit("the daemon was not done after five minutes")


async def terminal(where: Places, picture: Path) -> None:
    app = ReviewApp(where.socket, images="half")
    async with app.run_test(size=CELLS) as pilot:
        for key in ("", "enter", "enter"):
            await pilot.press(*filter(None, [key]))
            await pilot.pause(4)
        drawn = app.export_screenshot(title="dedupd review")
    picture.write_text(drawn, encoding="utf-8")  # noqa: ASYNC240  # nothing else waits


def photograph(address: str, group: int, drawn: Path) -> None:
    options = Options()
    for option in (
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        f"--window-size={PAGE[0]},{PAGE[1]}",
    ):
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(address)
        browser.get(f"{address.split('/?', maxsplit=1)[0]}/groups/{group}")
        shoot(browser, "browser.png")
        browser.get(drawn.as_uri())
        shoot(browser, "terminal.png")
    finally:
        browser.quit()


def shoot(browser: webdriver.Chrome, name: str) -> None:
    time.sleep(3)
    browser.save_screenshot(str(HERE / name))
    page = Image.open(HERE / name).convert("RGB")
    drawn = ImageChops.difference(page, Image.new("RGB", page.size, page.getpixel((0, 0)))).getbbox()
    # A palette is enough for a page, and a third of the bytes.
    page.crop(drawn if name == "terminal.png" else None).quantize(256, dither=Image.Dither.NONE).save(
        HERE / name, optimize=True
    )


if __name__ == "__main__":
    main()
