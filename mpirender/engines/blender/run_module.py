"""Runs a module of mpirender inside a Blender program, like Python's ``-m``.

blender --background … --python-expr "…run_module.main()" -- -m mpirender.ranks job.json
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from typing import NoReturn


def main() -> NoReturn:
    """Run the module after ``-- -m`` with the remaining arguments, and exit as Python would."""
    words = sys.argv[sys.argv.index("--") + 1 :]
    sys.argv = words[1:]
    code: object = 0
    try:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201 - as Python does for sys.exit(text)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))  # without Blender's cleanup, which may hang
