"""Start the ParaView window on an X server, and take its picture: window_picture.py RESULTS COMMAND…

If the variable DIALOG is set, Enter is pressed in the first window whose title begins so. The picture is
RESULTS/window.png, taken when RESULTS/window.json is there. Run inside xvfb-run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from PIL import ImageGrab

SECONDS = 150
DRAWN_SECONDS = 4  # after the script has ended


def main() -> None:
    results, *command = sys.argv[1:]
    folder = Path(results)
    with (folder / "window.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as window:
        if "DIALOG" in os.environ:
            find = ["xdotool", "search", "--sync", "--onlyvisible", "--name", f"^{os.environ['DIALOG']}"]
            subprocess.run([*find, "windowfocus", "--sync", "key", "Return"], check=False, timeout=SECONDS)
        end = time.monotonic() + SECONDS
        while not (folder / "window.json").exists() and window.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(DRAWN_SECONDS)
        ImageGrab.grab(xdisplay="").save(folder / "window.png")
        window.terminate()


main()
