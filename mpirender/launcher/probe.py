"""The launcher probe: start a few ranks that report their hosts, to see whether a launcher connects them.

They also report whether they see the output folder.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import FOLDER
from mpirender.launcher import command_line
from mpirender.launcher.environment import environment_of
from mpirender.launcher.placement import Placement
from mpirender.ranks.mpi import BLIND, HELLO, HOSTS
from mpirender.system import child_process
from mpirender.system.child_process import ending
from mpirender.system.text import listed, plural

PROBE_SECONDS = 60.0  # the ranks load no scene; a launcher that does not work may wait forever
NOT_SEEN = "not see the folder"
OUTPUT_SHOWN = 200  # characters


def problem_of(
    program: Sequence[str], placement: Placement, stop: Callable[[], bool], shared: Path | None = None
) -> str:  # fmt: skip
    """Return what is wrong with the launcher of a placement, empty if it connects the ranks.

    Starts one rank per node, or two on a single node. When ``stop``, called often, returns True, the probe is ended.

    :param shared: the output folder, which all nodes must see.
    :raises UsageError: a node does not see it.
    """
    with marker(shared) as places:
        return _problem_of(program, placement, stop, shared, places)


def _problem_of(
    program: Sequence[str], placement: Placement, stop: Callable[[], bool], shared: Path | None, places: Sequence[str]
) -> str:  # fmt: skip
    each = 1 if len(placement.nodes) > 1 else min(placement.ranks, 2)
    nodes = dict.fromkeys(placement.nodes, each)
    few = replace(placement, ranks=sum(nodes.values()), nodes=nodes, named=True)
    command = [*command_line.start(few), *program, *command_line.RANKS, HELLO, *places]
    try:
        code, output = child_process.run_until(command, stop, timeout=PROBE_SECONDS, added=environment_of(few))
    except OSError as error:
        return f"cannot be started ({error.strerror})"
    hosts = [line.removeprefix(HOSTS).split() for line in output.splitlines() if line.startswith(HOSTS)]
    if len(hosts) > 1:
        return f"started {len(hosts)} ranks that do not see each other"
    if not hosts:
        how = f"no response within {PROBE_SECONDS:.0f} s" if code is None else ending(code)
        return f"{how} ({one_line(output)[:OUTPUT_SHOWN]})" if output.strip() else how
    if len(hosts[0]) != few.ranks or len(set(hosts[0])) != len(nodes):
        wanted, got = plural(len(nodes), "node"), plural(len(set(hosts[0])), "node")
        return f"started {plural(len(hosts[0]), 'rank')} on {got} instead of {few.ranks} on {wanted}"
    blind = [line.removeprefix(BLIND).split() for line in output.splitlines() if line.startswith(BLIND)]
    if blind:
        some = f"node {blind[0][0]} does" if len(blind[0]) == 1 else f"nodes {listed(blind[0])} do"
        raise UsageError(f"{some} {NOT_SEEN} {shared}; choose one that all nodes of the job share (--output)")
    return ""


@contextlib.contextmanager
def marker(folder: Path | None) -> Iterator[list[str]]:
    """Make an empty file in an output folder, or in the one where it will be made, during the block; yield its path.

    Other nodes may have a folder of the same name, but not the file. Yields no path if it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        paths: list[str] = []
        if folder is not None:
            existing = next(place for place in (folder / FOLDER, folder, *folder.parents) if place.is_dir())
            with contextlib.suppress(OSError):
                paths.append(stack.enter_context(tempfile.NamedTemporaryFile(prefix=".part-", dir=existing)).name)
        yield paths
