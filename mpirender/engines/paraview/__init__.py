"""The ParaView engine: states (.pvsm) and Python scripts (.py), rendered in pvbatch.

paraview and vtkmodules are imported inside functions, as is everything that only rank 0 or only some scenes need:
thousands of ranks may load their program at once.
"""

__all__ = ["engine", "inspect"]
