"""What ended the ranks, read from the output of the launcher and the ranks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpirender.errors import BY_EXIT_CODE, NO_SPACE, FramesMissing, MpirenderError, NoSpace, UsageError
from mpirender.system.child_process import ending

ERROR = "mpirender: error: "  # before each line of an error that a rank prints


@dataclass(frozen=True)
class Death:
    """The process that died first, as far as the launcher reported it, and how."""

    rank: int | None = None  # its rank in the communicator of all processes
    pid: int | None = None
    how: str = ""


# Messages about the rank that died first: by the rank itself, Open MPI 4 and 5, MPICH and its relatives, Slurm's srun.
DEATHS = (
    r"mpirender: error: rank (?P<rank>\d+) of \d+ on \S+: (?P<how>.+)",
    r"process rank (?P<rank>\d+) with PID \d+ on node \S+ exited on signal (?P<signal>\d+)",
    r"Process name: \[.+,(?P<rank>\d+)\]\s+Exit code:\s+(?P<code>\d+)",
    r"due to process rank (?P<rank>\d+) with PID \d+ on\s+node \S+ exiting (?P<how>improperly)",
    r"BAD TERMINATION OF ONE OF YOUR .+\s+=\s+PID (?P<pid>\d+) RUNNING AT \S+\s+=\s+EXIT CODE: (?P<wait>\d+)",
    r"srun: error: \S+: tasks? (?P<rank>\d+)[\d,-]*: (?P<how>.+)",
)


def first_death(output: Sequence[str]) -> Death:
    """Find, in the lines that the launcher and the ranks printed, which rank died first and made the others end."""
    text = "\n".join(output)
    found = next(filter(None, (re.search(pattern, text) for pattern in DEATHS)), None)
    if found is None:
        return Death()
    fields = {name: value for name, value in found.groupdict().items() if value is not None}
    rank, pid = (int(fields[name]) if name in fields else None for name in ("rank", "pid"))
    return Death(rank, pid, _how(fields))


def _how(fields: Mapping[str, str]) -> str:
    if "how" in fields:
        return fields["how"]
    if "wait" in fields:  # MPICH prints the status of wait(2)
        status = int(fields["wait"])
        return ending(-status if status < 128 else status >> 8)
    return ending(int(fields["code"]) if "code" in fields else -int(fields["signal"]))


def printed_error(output: Sequence[str], code: int) -> MpirenderError | None:
    """Return the error that the ranks printed, None if they died without printing one.

    The journals hold the errors of ranks; this is for a rank that could not write there.
    """
    lines = list(dict.fromkeys(line[line.index(ERROR) + len(ERROR) :] for line in output if ERROR in line))
    kind = BY_EXIT_CODE.get(code)
    if kind is None or not lines:
        return None
    if kind is FramesMissing and (full := [line for line in lines if NO_SPACE in line]):
        return NoSpace(full[0])
    return kind(lines) if issubclass(kind, UsageError) else kind("\n".join(lines))
