"""Run a rank: ``pvbatch --no-mpi -m mpirender.ranks job.json``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Inside pvbatch the user's packages go to the end: its own numpy and mpi4py are never shadowed.
    own = str(Path(__file__).resolve().parents[2])
    sys.path.extend(path for path in [own, *os.environ.get("MPIRENDER_PATH", "").split(os.pathsep)] if path)

    # In another module: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.ranks.main import main

    main()
