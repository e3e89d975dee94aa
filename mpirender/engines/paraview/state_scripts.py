"""Finds what runs as a program when a ParaView state is loaded or rendered: Python in its objects, and plugins."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mpirender.engines.paraview.plugins import SEARCH_PATH
from mpirender.engines.paraview.state_xml import Proxy, State
from mpirender.job.render_job import RenderJob
from mpirender.system.text import plural

# Properties that hold Python code; the text of a query is evaluated as Python, too.
CODE = ("Script", "InformationScript", "RequestInformationScript", "UpdateExtentScript", "RequestUpdateExtentScript",
        "CheckNeedsUpdateScript", "Expression", "QueryString")  # fmt: skip
# Classes of objects that evaluate Python, besides those with Python or Programmable in their names.
EVALUATING = ("AnnotateAttributeData", "AnnotateGlobalData", "SelectionQuerySource")
BUILT_IN = ("AnnotateAttributeData", "AnnotateGlobalData")  # whose code is ParaView's, with names from the state in it
IDLE = ("settings", "pythontracing")  # groups of objects that run nothing


def scripts(state: State, job: RenderJob) -> Iterator[str]:
    """Yield the scripts of a state, and the plugins that are loaded with it, each in a few words."""
    for proxy in state.proxies:
        if proxy.group not in IDLE and (lines := _lines(proxy)):
            yield f"{proxy.name} ({proxy.type}, {plural(lines, 'line')} of Python)"
    yield from plugins(job)


def plugins(job: RenderJob) -> Iterator[str]:
    """Yield the plugins that ParaView loads for a job."""
    yield from (f"{plugin} (plugin)" for plugin in job.plugins)
    yield from (f"{folder} (plugins, {SEARCH_PATH})" for folder in filter(None, [os.environ.get(SEARCH_PATH, "")]))


def _lines(proxy: Proxy) -> int:
    """Return how many lines of Python an object has, 0 if it runs none."""
    own = any(word in proxy.type for word in ("Python", "Programmable")) or proxy.type in EVALUATING
    # Objects of plugins may have a script by another name of their class; the expressions of others are no Python.
    code = [text for name in (CODE if own else CODE[:6]) for text in proxy.values(name)]
    count = sum(bool(line.strip()) for text in code for line in text.splitlines())
    return count or int(proxy.type in BUILT_IN)
