"""The text of ``mpirender inspect``: what a scene contains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from mpirender.engines.base import Inspection
from mpirender.job import frames as framesets
from mpirender.system.text import plural


def inspection_lines(inspection: Inspection, read_by: str) -> list[str]:
    """Return the text of an inspection."""
    times = inspection.times
    span = f", times {times[0]:g} to {times[-1]:g}" if times else ""
    numbers = framesets.text(inspection.frames)
    frame_range = f"{numbers} ({len(times)}, {inspection.play_mode}{span})" if times else "none"
    if not inspection.frames_known:
        frame_range = "known after the script has run"
    rows = [
        ("written by", inspection.written_by),
        ("read by", read_by or "no program found; run mpirender doctor"),
        ("frames", frame_range),
        ("views", ", ".join(inspection.views)),
        *(("layout", f"{layout.name}: {', '.join(layout.views)}") for layout in inspection.layouts),
        *_data_files(inspection),
        *inspection.properties,
        ("objects", ", ".join(f"{name} ({kind})" for name, kind in inspection.objects)),
        *(("script", script if inspection.scripts_run else f"{script}; does not run") for script in inspection.scripts),
        *(("warning", warning) for warning in inspection.warnings),
        *(("advice", advice) for advice in inspection.advice),
        *(("MISTAKE", mistake) for mistake in inspection.mistakes),
    ]  # fmt: skip
    return [f"{name:>10}  {value}" for name, value in rows if value]


def _data_files(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """Yield a row for each file of a reader, with how many files it refers to."""
    referenced = defaultdict(list)
    for file in inspection.data_files:
        if file.index:
            referenced[file.reader, file.index].append(file)
    for file in inspection.data_files:
        if not file.index:
            others = referenced[file.reader, file.path]
            more = f", refers to {plural(len(others), 'file')}: {others[0].saved}" if others else ""
            more += f" to {others[-1].saved}" if len(others) > 1 else ""
            missing = sum(not other.found for other in others)
            more += f", {missing} of them MISSING" if missing else ""
            yield "data file", f"{file.path} ({'found' if file.found else 'MISSING'}, {file.reader}){more}"
