"""Look at paths that users give: a name that no file can have (too long, ``~nobody/x``) is no error, but no file."""

from __future__ import annotations

import os
from pathlib import Path


def exists(path: str | Path) -> bool:
    """Say whether there is something at a path."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for names that no file can have


def is_file(path: str | Path) -> bool:
    """Say whether a path is that of a file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Say whether a path is that of a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def expanded(path: str | Path) -> Path:
    """Return an absolute path, with the home folder of a user for ``~``."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - Path.expanduser raises for an unknown user
