"""The environment variables of mpirender itself: what a site or a user sets, and what mpirender sets for its ranks.

A site usually sets its defaults (programs, container, batch script) in a module file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PVBATCH = "MPIRENDER_PVBATCH"
BLENDER = "MPIRENDER_BLENDER"
CONTAINER = "MPIRENDER_CONTAINER"
BATCH_SCRIPT = "MPIRENDER_SLURM_SCRIPT"
SERVE_SCRIPT = "MPIRENDER_SERVE_SCRIPT"  # batch script of sessions
BATCH_COMMAND = "MPIRENDER_COMMAND"  # the command that the batch script runs, render or study
PACKAGE_PATH = "MPIRENDER_PATH"  # the folders of the user's packages, for the ranks
RANK_MEMORY = "MPIRENDER_RANK_MEMORY"  # of a rank of a session, such as 45G
MOST_RANKS = "MPIRENDER_MAX_RANKS"  # that a session gets because of its memory
SESSION_GPUS = "MPIRENDER_SESSION_GPUS"  # of each rank of a session
SMTP = "MPIRENDER_SMTP"  # host and port of the mail server
CONNECT_ID = "MPIRENDER_CONNECT_ID"  # of a session that ParaView's Connect dialog starts
LOGIN_HOST = "MPIRENDER_LOGIN_HOST"  # through which users reach the nodes
OUTCOME = "MPIRENDER_OUTCOME"  # this and the next ones: for the command of --on-end
EXIT_CODE = "MPIRENDER_EXIT_CODE"
MESSAGE = "MPIRENDER_MESSAGE"
SCENE = "MPIRENDER_SCENE"
OUTPUT = "MPIRENDER_OUTPUT"
MOVIE = "MPIRENDER_MOVIE"
POOL = "MPIRENDER_POOL"  # address and key of a pool; not on the command line, which other users can read


def read(variable: str) -> str:
    """Return the value of one of these variables, empty if it is not set."""
    return os.environ.get(variable, "")


def extend_module_path() -> None:
    """Append mpirender and the user's packages to the module path of a host program: its own numpy comes first."""
    own = str(Path(__file__).resolve().parents[2])
    sys.path.extend(filter(None, [own, *read(PACKAGE_PATH).split(os.pathsep)]))
