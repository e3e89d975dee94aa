"""The version of mpirender; in a module of its own, since the ranks inside pvbatch do not run the package's first file.

CITATION.cff repeats it.
"""

__version__ = "0.1.0"
