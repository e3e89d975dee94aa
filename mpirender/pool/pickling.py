"""Pickling of the user's function, jobs and results between a pool and its ranks.

Pickle stores functions and classes by name. For those of the user's program, ``__main__``, a rank loads its file under
another name, so that the lines under ``if __name__ == "__main__"`` do not run.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MAIN = "__pool_main__"  # not the name that multiprocessing gives to the main module of the rank
PROTOCOL = 5  # of pickle; readable since Python 3.8, while a rank may not know newer ones


class Main(NamedTuple):
    """The program that the user started: a module (``python -m``) or a file; neither in a shell."""

    module: str = ""
    path: str = ""

    @classmethod
    def of_caller(cls) -> Main:
        """Return the program of this process."""
        main = sys.modules["__main__"]
        spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        if spec is not None:
            return cls(module=spec.name)
        return cls(path=str(Path(path).absolute())) if path else cls()

    def in_rank(self, module: str) -> str:
        """Return the name of a module of the caller in a rank, which loads the caller's program when first needed."""
        return self._load() if module == "__main__" else module

    def in_caller(self, module: str) -> str:
        """Return the name of a module of a rank in the caller."""
        return "__main__" if module in (MAIN, self.module) else module

    def _load(self) -> str:
        if self.module:
            return importlib.import_module(self.module).__name__
        if MAIN not in sys.modules:
            code = compile(Path(self.path).read_bytes(), self.path, "exec")
            module = sys.modules[MAIN] = types.ModuleType(MAIN)
            module.__file__ = self.path
            try:
                exec(code, module.__dict__)
            except BaseException:
                del sys.modules[MAIN]
                raise
        return MAIN


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, renamed: Callable[[str], str]) -> None:
        super().__init__(io.BytesIO(content))
        self._renamed = renamed

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        return super().find_class(self._renamed(module), name)


def dumps(value: object) -> bytes:
    """Return an object as bytes; raises whatever its own code raises."""
    return pickle.dumps(value, PROTOCOL)


def loads(content: bytes, renamed: Callable[[str], str]) -> Any:  # noqa: ANN401
    """Return the object again, its modules renamed; raises whatever its own code, or loading its module, raises."""
    return _Unpickler(content, renamed).load()
