"""Run a rank: ``pvbatch --no-mpi -m mpirender.ranks job.json``."""

from __future__ import annotations

if __name__ == "__main__":
    from mpirender.system import site

    site.extend_module_path()

    # In another module: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.ranks.main import main

    main()
