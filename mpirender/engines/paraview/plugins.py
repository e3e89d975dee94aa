"""ParaView plugins: those of ``--plugin``, and objects of a state whose plugin is missing.

ParaView itself loads the plugins in the folders of ``PV_PLUGIN_PATH``. A state does not say from which plugin its
objects come; each plugin contains the definitions of its objects as text, so the files can be searched.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpirender.engines.paraview.state_xml import Proxy, State
from mpirender.errors import UsageError
from mpirender.job import paths
from mpirender.job.render_job import RenderJob

UNKNOWN = re.compile(r"No proxy that matches: group=(\S+) and proxy=(\S+) were found")
NOT_MADE = re.compile(r"Could not create a proxy of group: (\S+) type: (\S+)")
SEARCH_PATH = "PV_PLUGIN_PATH"


def load(job: RenderJob) -> None:
    """Load the plugins of ``--plugin``, with their functions in paraview.simple, so that scripts find these as well.

    :raises UsageError: with each plugin that cannot be loaded.
    """
    from paraview import simple

    mistakes = []
    for given in job.plugins:
        path = _find(given)
        try:
            if path is None:
                raise RuntimeError("no such file, and no such plugin of this ParaView")
            simple.LoadPlugin(str(path), remote=False, ns=vars(simple))
        except Exception as error:  # a plugin in Python may raise anything
            mistakes.append(f"--plugin {given}: {error}")
    if mistakes:
        raise UsageError(mistakes)


def files(job: RenderJob) -> list[Path]:
    """Return the files of the plugins of ``--plugin``."""
    return [path for path in map(_find, job.plugins) if path is not None]


def explain(errors: Sequence[str], state: State) -> list[str]:
    """Return the errors of loading a state, with one line for all objects that this ParaView does not know.

    Objects that are hidden draw nothing, so their errors are left out: annotations of newer versions, for example.
    """
    classes = [match.groups() for match in map(UNKNOWN.search, errors) if match]
    unknown = [proxy for proxy in state.proxies if (proxy.group, proxy.type) in classes]
    shown = [proxy for proxy in unknown if proxy.number("Visibility", 1)]
    silent = {(proxy.group, proxy.type) for proxy in unknown}
    others = []
    for text in errors:
        match = UNKNOWN.search(text) or NOT_MADE.search(text)
        if match is None or match.groups() not in silent:
            others.append(text)
    return [*map(_missing, [shown] if shown else []), *others]


def _missing(proxies: Sequence[Proxy]) -> str:
    """Return one line about objects that this ParaView does not know, with the plugins that have them if known."""
    classes = {proxy.type: proxy for proxy in proxies}
    named = ", ".join(f"{proxy.type} ({proxy.name})" if proxy.name != proxy.id else proxy.type for proxy in proxies)
    found = {kind: next(_defining(kind), None) for kind in classes}
    plugins = dict.fromkeys(path.stem for path in found.values() if path is not None)
    options = " ".join(f"--plugin {name}" for name in plugins)
    unfound = not all(found.values())
    other = f"its plugin (--plugin PATH, or {SEARCH_PATH}), or the ParaView that saved the state (--pvbatch PATH)"
    fix = " and ".join([*([options] if options else []), *([other] if unfound else [])])
    return f"this ParaView does not know {named}; use {fix}"


def _find(given: str) -> Path | None:
    """Return the file of a plugin that is given as a path or, if it belongs to ParaView, by name."""
    if paths.is_file(given):
        return Path(given)
    return next((path for path in _available() if path.stem == given), None)


def _defining(kind: str) -> Iterator[Path]:
    """Yield the plugins that define a class of objects."""
    definition = f'name="{kind}"'.encode()
    return (path for path in _available() if definition in path.read_bytes())


def _available() -> Iterator[Path]:
    """Yield the plugin files of this ParaView, and those in the folders of PV_PLUGIN_PATH."""
    maps = Path("/proc/self/maps").read_text()
    folders = {Path(match[1]).parent for match in re.finditer(r"(/\S*/libvtk(?:PV|Remoting)\S*\.so\S*)", maps)}
    own = (folder.glob("paraview-*/plugins/*/*.so") for folder in sorted(folders))
    given = (Path(folder).glob("*.so") for folder in os.environ.get(SEARCH_PATH, "").split(os.pathsep) if folder)
    return (path for path in itertools.chain(*own, *given) if not path.name.startswith("libvtk"))
