"""States and other scenes with changed, missing, repeated and damaged parts: inspect names what is wrong with them."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from command_runs import mpirender, mpirender_here

import paraview_states
from mpirender.system import xvfb

RENDERS = 25  # one in so many trials with a pattern is rendered
BLENDS = 100  # one in so many trials has a Blender file
CPU_SECONDS, MEMORY = 10.0, 1024**3
TEXTS = (
    "", "0", "-1", "1e9", "1e300", "-1e300", "nan", "inf", "1" * 400, "9" * 5000, "x" * 100_000, "\x1b[2J", "é", "²",
    "/dev/zero", "/dev/stdin", "/proc/self/mem", "..", "$HOME/x", "%s%n", "a\nb", "[", "0x10", "1,2", "true", "null",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**9, 1e308, 10**400, float("nan"), "", "x", "\x1b[2J", "../x", [], [[]], {}, {"1": [1]}, [-1],
    [10**9], ["x"], [None] * 3, [0.1, "x", 0.1],
)  # fmt: skip
KEYS = (
    "frames", "seconds", "picture", "fail", "flaky", "kill", "how", "kill_load", "grow", "say", "data", "remembers", ""
)  # fmt: skip
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]><ParaView><ServerManagerState version="&j;"/>'
    b"</ParaView>"
) % b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))

SAVE = """
from paraview.simple import *
wave = Wavelet()
contour = Contour(wave, ContourBy="RTData", Isosurfaces=[100, 157])
view = CreateRenderView(ViewSize=[160, 90])
ColorBy(Show(contour, view), ("POINTS", "RTData"))
Show(AnnotateTimeFilter(wave), view)
AssignViewToLayout(view)
track = GetAnimationTrack("Isosurfaces", 0, contour)
GetAnimationScene().NumberOfFrames = 5
SaveState({path!r})
"""


def trial(chance: random.Random, folder: Path) -> str:
    """Inspect a state or pattern that is changed at random; render some of the patterns."""
    if blend() and chance.randrange(BLENDS) == 0:
        scene = folder / "x.blend"
        scene.write_bytes(with_wrong_bytes(blend(), chance))
    elif chance.random() < 0.25:
        scene = folder / "x.pattern"
        scene.write_bytes(pattern(chance))
    else:
        scene = folder / "x.pvsm"
        scene.write_bytes(state(chance))
    pvbatch = folder / "pvbatch"  # only asked for its version, which takes ParaView a second
    pvbatch.write_text("#!/bin/sh\necho paraview version 5.11.0\n")
    pvbatch.chmod(0o755)
    words = ["--pvbatch", pvbatch, *([] if chance.random() < 0.7 else chance.choice(OPTIONS))]
    words = words if scene.suffix == ".pvsm" else words[2:] if scene.suffix == ".pattern" else []
    code, printed = mpirender_here(["inspect", scene.name, *words], folder, cpu_seconds=CPU_SECONDS, memory=MEMORY)
    assert code in (0, 2), printed
    assert "\x1b" not in printed, f"it prints what controls a terminal: {printed!r}"
    if scene.suffix == ".pattern" and chance.randrange(RENDERS) == 0:
        done = mpirender(["render", scene.name, "--size", "16x10", "--ranks", 2, "--frame-timeout", 5], folder, 600)
        return f"rendered, exit code {done.returncode}"
    return f"inspected, exit code {code}"


OPTIONS: tuple[list[object], ...] = (
    ["--camera", "orbit"], ["--frames", "0-3"], ["--set", "AnimationScene1.PlayMode=Sequence"], ["--view", "all"],
    ["--layout", "1"], ["--color-range", "global"], ["--size", "4K"], ["--json"], ["--data-dir", "."],
)  # fmt: skip


@functools.cache
def states() -> tuple[bytes, ...]:
    """Return states written by hand, and one that ParaView has saved if it is installed."""
    track = paraview_states.animation(mode=2, steps=(0, 0.5, 1, 2), cues=[7])
    size = paraview_states.prop("ViewSize", 640, 400)
    view = paraview_states.proxy(3, "views", "RenderView", size) + paraview_states.collection("views", p3="View")
    made = [
        paraview_states.state(paraview_states.CLOCK, view=view),
        paraview_states.state(paraview_states.CLOCK, view=view, scene=track),
    ]
    if shutil.which("pvbatch"):
        with tempfile.TemporaryDirectory() as folder, xvfb.server() as display:
            script, saved = Path(folder, "save.py"), Path(folder, "x.pvsm")
            script.write_text(SAVE.format(path=str(saved)))
            command = ["pvbatch", "--no-mpi", str(script)]
            subprocess.run(command, env={**os.environ, **display}, capture_output=True, check=True, timeout=300)
            made += [saved.read_bytes()] * 2
    return tuple(made)


@functools.cache
def blend() -> bytes:
    """Return a Blender file, empty without bpy."""
    if importlib.util.find_spec("bpy") is None:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "x.blend")
        save = f"import bpy; bpy.ops.wm.save_as_mainfile(filepath={str(saved)!r}, compress=False)"
        subprocess.run([sys.executable, "-c", save], capture_output=True, check=True, timeout=300)
        return saved.read_bytes()


def with_wrong_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return the content cut short, or with a few other bytes before its last part, which describes all others."""
    place = chance.randrange(len(content))
    if chance.random() < 0.2:
        return content[:place]
    changed = bytearray(content)
    for _ in range(chance.choice((1, 3, 30))):
        changed[chance.randrange(12, content.rfind(b"DNA1"))] = chance.randrange(256)
    return bytes(changed)


def state(chance: random.Random) -> bytes:
    """Return a state with a few changes."""
    content = chance.choice(states())
    kind = chance.randrange(10)
    if kind == 0:
        return damaged(content, chance)
    if kind == 1:
        return special(content, chance)
    root = ET.fromstring(content)
    for _ in range(chance.randint(1, 4)):
        if len(root):
            change(root, chance)
    return ET.tostring(root)


def change(root: ET.Element, chance: random.Random) -> None:
    """Change an element: an attribute, its children, or its place."""
    parents = [one for one in root.iter() if len(one)]
    parent = chance.choice(parents)
    child = chance.choice(list(parent))
    how = chance.randrange(7)
    if how == 0:
        parent.remove(child)
    elif how == 1:
        parent.extend([child] * (chance.choice((1, 3, 10_000)) if len(child) < 5 else 1))
    elif how == 2:
        child.tag = chance.choice(("Proxy", "Property", "Element", "Item", "x", "ServerManagerState"))
    elif how == 3:
        child.append(chance.choice([one for one in parents if child not in one.iter()] or [ET.Element("x")]))
    elif child.attrib:
        key = chance.choice(sorted(child.attrib))
        values = (
            [text for text in TEXTS if text.isprintable()] if how < 6 else [chance.choice(list(child.attrib.values()))]
        )
        child.set(key, chance.choice(values))


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return bytes that are cut short, or of which some are changed."""
    place = chance.randrange(len(content))
    if chance.random() < 0.3:
        return content[:place]
    return content[:place] + chance.randbytes(chance.randint(1, 20)) + content[place + chance.randint(0, 20) :]


def special(content: bytes, chance: random.Random) -> bytes:
    """Return something that parsers of XML have trouble with."""
    deep = b"<a>" * 3000 + b"</a>" * 3000
    return chance.choice((
        b"", bytes(1000), BOMB, b"<ParaView>" + deep + b"</ParaView>",
        content.replace(b"<Property", deep + b"<Property", 1),
        b'<?xml version="1.0" encoding="latin-1"?>' + content.replace(b"<Property", deep + b"<Property", 1),
        b'<?xml version="1.0" encoding="rot13"?>' + content, content.decode().encode("utf-16"),
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ServerManagerState version="&e;"/>',
        b"import paraview\n" + content, content + content, content.replace(b"<", b"&lt;"), b"\xef\xbb\xbf" + content,
    ))  # fmt: skip


def pattern(chance: random.Random) -> bytes:
    """Return a test pattern with odd values."""
    settings: Any = {"frames": 3}
    for _ in range(chance.randint(1, 3)):
        settings[chance.choice(KEYS)] = chance.choice(VALUES)
    text = json.dumps(settings).encode()
    how = chance.randrange(8)
    if how == 0:
        return damaged(text, chance)
    return b"[" * 100_000 if how == 1 else text
