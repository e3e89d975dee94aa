"""What stands for the package inside a host program (pvbatch) that has a Python of its own.

The launcher puts the folder above this one on PYTHONPATH. It holds this file alone, so the host can import mpirender
and nothing else from the user's Python: its own numpy and mpi4py are never shadowed.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2])]
