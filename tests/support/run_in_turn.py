"""Run several ParaView scripts in one pvbatch, each in a process of its own: pvbatch --no-mpi run_in_turn.py FILE

FILE is a JSON list of command lines, each a list of a script and its arguments. ParaView is imported once, which takes
longer than most of these scripts. Each script starts with a ParaView as just started, in the folder of the script.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path

from paraview import simple


def run(command: list[str]) -> None:
    """Run a script in this process, which ends with it."""
    code = 1
    try:
        os.chdir(Path(command[0]).parent)
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def main(file: Path) -> None:
    """Run all scripts; end with exit code 1 if one of them failed."""
    assert simple.GetActiveView() is None
    failed = []
    for command in json.loads(file.read_text()):
        process = os.fork()
        if process == 0:
            run(command)
        if os.waitpid(process, 0)[1]:
            failed.append(" ".join(command))
    sys.exit(f"failed: {failed}" if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
