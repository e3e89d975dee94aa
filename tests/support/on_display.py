"""Open and close windows on the X server that the ranks of a node share.

Run by test_xvfb.py: mpiexec -n 4 pvbatch --no-mpi on_display.py [FILE], which waits until FILE exists, if given.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - loads the window class of this VTK
from mpi4py import MPI
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from mpirender.ranks.mpi import finalize
from mpirender.system.xvfb import private_display

comm = MPI.COMM_WORLD
with private_display(comm):
    for _ in range(3):  # in between, the server may have no client at all
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
