"""Which images are tried again, by which rank, and when to give up."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from mpirender.job.outputs import Image
from mpirender.ranks import mpi
from mpirender.run_folder.events import Fail, ImageOutcome
from mpirender.system.comm import Comm

MAX_ATTEMPTS = 2  # at an image that failed or ended its renderer
MAX_BLAMELESS_ATTEMPTS = 4  # at an image whose renderers ended because of something else


def worth_another(outcome: ImageOutcome) -> bool:
    """Return whether an image is worth another attempt."""
    most = MAX_BLAMELESS_ATTEMPTS if isinstance(outcome, Fail) and outcome.blameless else MAX_ATTEMPTS
    return isinstance(outcome, Fail) and outcome.attempt < most


def next_round(
    comm: Comm, outcomes: Mapping[Image, ImageOutcome], attempt: int, *, fit: bool
) -> tuple[list[Image], bool]:
    """Return the images that this rank tries again, and whether any rank does: those that failed, dealt round-robin.

    An image goes to another rank than before if there is one. All ranks call this.

    :param outcomes: of this rank; those of the attempt with this number count.
    :param fit: whether this rank can render.
    """
    mpi.wait_for_all(comm)
    failed = [image for image, one in outcomes.items() if one.attempt == attempt and worth_another(one)]
    parts = comm.allgather((failed, fit))
    able = {rank for rank, (_, can) in enumerate(parts) if can}
    mine: list[Image] = []
    for rank, (images, _) in enumerate(parts):
        following = [(rank + step) % comm.size for step in range(1, comm.size + 1)]  # itself last
        chosen = [one for one in following[:-1] if one in able] or [one for one in following if one in able]
        mine += [image for image, one in zip(images, itertools.cycle(chosen)) if one == comm.rank]
    return mine, bool(able) and any(images for images, _ in parts)
