"""The launcher probe: start a few ranks that report their hosts, to see whether a launcher connects them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mpirender.errors import one_line
from mpirender.launcher import command_line
from mpirender.launcher.environment import environment_of
from mpirender.launcher.placement import Placement
from mpirender.ranks.mpi import HELLO, HOSTS
from mpirender.system import child_process
from mpirender.system.child_process import ending
from mpirender.system.text import plural

PROBE_SECONDS = 60.0  # the ranks load no scene; a launcher that does not work may wait forever
OUTPUT_SHOWN = 200  # characters


def problem_of(program: Sequence[str], placement: Placement, stop: Callable[[], bool]) -> str:
    """Return what is wrong with the launcher of a placement, empty if it connects the ranks.

    Starts one rank per node, or two on a single node. When ``stop``, called often, returns True, the probe is ended.
    """
    each = 1 if len(placement.nodes) > 1 else min(placement.ranks, 2)
    nodes = dict.fromkeys(placement.nodes, each)
    few = replace(placement, ranks=sum(nodes.values()), nodes=nodes, named=True)
    command = [*command_line.start(few), *program, *command_line.RANKS, HELLO]
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
    return ""
