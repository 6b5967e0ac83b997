"""Write screenshots of the gallery: `python -m tests.browser.gallery FOLDER [SAMPLE ...]`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from tests.browser.gallery import create_gallery

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
SHOTS = [
    # kind, sample, width, height, zoom
    ("vehicle", "today", 1024, 768, 1),
    ("vehicle", "encounter", 1024, 768, 1),
    ("vehicle", "request", 1024, 768, 1),
    ("vehicle", "states", 1024, 768, 1),
    ("vehicle", "components", 1024, 768, 1),
    ("vehicle", "call", 1024, 768, 1),
    ("hub", "queue", 1366, 768, 1),
    ("hub", "queue", 1920, 1080, 1),
    ("hub", "components", 1366, 768, 1),
    ("hub", "record", 1366, 768, 1),
    ("vehicle", "encounter", 1024, 768, 2),
    ("hub", "queue", 1366, 768, 2),
]


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    server = make_server("127.0.0.1", 0, create_gallery(), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for kind, sample, width, height, zoom in SHOTS:
            if wanted and sample not in wanted:
                continue
            # Zooming in a browser is a smaller window in CSS pixels with more device pixels to each.
            page = browser.new_page(
                viewport={"width": width // zoom, "height": height // zoom}, device_scale_factor=zoom, locale="zh-CN"
            )
            page.on("console", lambda message: print(message.type, message.text))
            page.on("pageerror", lambda error: print("error", error))
            page.goto(f"http://127.0.0.1:{server.port}/{kind}/{sample}", wait_until="load")
            page.wait_for_timeout(300)
            name = f"{kind}-{sample}-{width}" + (f"-zoom{zoom}" if zoom > 1 else "")
            page.screenshot(path=folder / f"{name}.png")
            if sample in ("components", "states", "request"):
                page.screenshot(path=folder / f"{name}-full.png", full_page=True)
            page.close()
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
