"""Each rank opens a window on the X server that the ranks of its node share, and leaves when it is done.

Run by test_xvfb.py: mpiexec -n 4 pvbatch --no-mpi on_display.py [FILE], which with a file goes on until that exists.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - loads the kind of window there is
from mpi4py import MPI
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from mpirender.ranks.mpi import finalize
from mpirender.system.xvfb import private_display

comm = MPI.COMM_WORLD
with private_display(comm):
    for _ in range(3):  # the server is without a client in between, and ranks come and go as they like
        window = vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetSize(32, 32)
        window.Render()
        del window
        time.sleep(random.uniform(0, 0.02))
    comm.Barrier()
    while sys.argv[1:] and not Path(sys.argv[1]).exists():
        time.sleep(0.1)
finalize(MPI.COMM_WORLD, 0)
