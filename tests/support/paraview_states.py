"""Write small ParaView states by hand."""

from __future__ import annotations

from mpirender.engines.paraview.inspect import inspect_state


def prop(name, *values, proxies=(), files=False):
    elements = "".join(f'<Element index="{i}" value="{value}"/>' for i, value in enumerate(values))
    elements += "".join(f'<Proxy value="{proxy}"/>' for proxy in proxies)
    domain = '<Domain name="files" id="x"/>' if files else ""
    return f'<Property name="{name}" number_of_elements="{len(values) or len(proxies)}">{elements}{domain}</Property>'


def proxy(id_, group, type_, *props):
    return f'<Proxy group="{group}" type="{type_}" id="{id_}">{"".join(props)}</Proxy>'


def collection(name, **items):
    listed = "".join(f'<Item id="{key.lstrip("p")}" name="{value}"/>' for key, value in items.items())
    return f'<ProxyCollection name="{name}">{listed}</ProxyCollection>'


def animation(*, mode=0, count=5, start=0, end=8, cues=(), extra="", steps=()):
    return proxy(
        1, "animation", "AnimationScene", prop("PlayMode", mode), prop("NumberOfFrames", count),
        prop("StartTime", start), prop("EndTime", end), prop("TimeKeeper", proxies=[2]), prop("Cues", proxies=cues),
        extra,
    ) + proxy(2, "misc", "TimeKeeper", prop("TimestepValues", *steps))  # fmt: skip


VIEW = proxy(3, "views", "RenderView") + collection("views", p3="RenderView1")
CLOCK = proxy(4, "filters", "AnnotateTimeFilter") + collection("sources", p4="Clock")
ROOT = '<ParaView><ServerManagerState version="{}">{}</ServerManagerState></ParaView>'


def state(*parts, scene=None, view=VIEW, version="5.11.0"):
    return ROOT.format(version, "".join([scene or animation(), view, *parts])).encode()


def warnings(content, job, read_by=""):
    return list(inspect_state(content, job, read_by).warnings)
