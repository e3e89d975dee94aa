"""A status for people: labeled lines, and a table of the ranks."""

from __future__ import annotations

import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from mpirender.job import frames as framesets
from mpirender.monitor import cost
from mpirender.monitor.phases import RENDERING, WAITING
from mpirender.monitor.status.view import RankStatus, Status
from mpirender.supervisor.disk_estimate import amount
from mpirender.system import slurm
from mpirender.system.text import damaged_lines, duration, printable, rank_or_group

RANKS_SHOWN = 32
LINES_OF_A_KIND = 10
LINES_OF_THE_END = 30
LABEL = 10  # characters
TITLES = ("host", "images", "s/image", "memory", "last report", "doing")
LEFT = ("host", "doing")  # columns of text
HIDDEN_FIRST = ("memory", "s/image", "images")  # on a narrow terminal
DIED = "it was killed or its machine went away"
AGAIN = "run the same command again"


def lines(seen: Status) -> list[str]:
    """Write the whole status, nothing cut off; of very many ranks those that need attention."""
    return [*map(printable, _head(seen)), *map(printable, _rank_lines(seen, RANKS_SHOWN))]


def fitting(seen: Status, width: int, height: int) -> list[str]:
    """Write it for a terminal of so many characters: long lines are wrapped, ranks shown as far as they fit."""
    head = _folded([printable(line) for line in _head(seen)], width)
    room = height - len(head) - 4  # the titles, two lines about the other ranks, and the cursor
    return head + [printable(line) for line in _rank_lines(seen, max(min(room, RANKS_SHOWN), 1), width)]


def _folded(texts: Sequence[str], width: int) -> list[str]:
    """Wrap lines; the rest of a line is indented as its text is."""
    indent = " " * (LABEL + 2)
    return [line for text in texts for line in textwrap.wrap(text, width, subsequent_indent=indent)]


def _head(seen: Status) -> list[str]:
    """Write everything except the ranks."""
    rows = [(seen.state, _about(seen)), *(("", line) for line in _few(seen.message, "lines", LINES_OF_THE_END))]
    if seen.total is not None:
        failed = f", {seen.failed} failed" if seen.failed else ""
        rows.append(("images", f"{seen.done} of {seen.total} done{failed}, {seen.left} left"))
    if seen.rate and seen.left and seen.seconds_left is not None and seen.ends is not None:
        ends = f"{duration(seen.seconds_left)} left, ends at about {_clock(seen.ends, seen.time)}"
        rows.append(("rate", f"{_rate(seen.rate)}, {ends}"))
    if seen.node_hours is not None and seen.cost is not None:
        rows.append(("cost", cost.line(seen.node_hours, seen.cost, seen.cost_per_image, seen.price_limit)))
    rows += [("spot", line) for line in _few(seen.spot, "nodes")]
    if seen.restarts or seen.deaths:
        last = f"; the last: {seen.deaths[-1]}" if seen.deaths else ""
        aside = f"; set aside: {', '.join(seen.set_aside)}" if seen.set_aside else ""
        rows.append(("restarts", f"{seen.restarts}{last}{aside}"))
    if seen.losses:
        rows.append(("reloads", f"{len(seen.losses)}; the last: {seen.losses[-1]}"))
    # The message of a run that has ended names most of them already.
    news = [failure for failure in seen.failures if not any(failure.reason in line for line in seen.message)]
    failed_lines = [f"{_named(failure.size, failure.frames)}: {failure.reason}" for failure in news]
    rows += [("failed", line) for line in _few(failed_lines, "reasons")]
    damaged = [damaged_lines(seen.skipped_lines)] if seen.skipped_lines else []
    rows += [("warning", line) for line in (*damaged, *_few(seen.warnings, "warnings"))]
    rows += [("movie", movie) for movie in _few(seen.movies, "movies")]
    rows += [("sheet", seen.contact_sheet)] if seen.contact_sheet else []
    rows += [("renderer", line) for line in _renderers(seen.ranks, rank_or_group(seen.ranks_per_frame))]
    return [f"{label:>{LABEL}}  {text}" for label, text in rows]


def _about(seen: Status) -> str:
    """Return the first line: which run it is, since when, and what it does or how it ended."""
    scene = f"{seen.scene}, " if seen.scene else ""
    if seen.since is None:
        return f"{scene}nothing rendered yet: no run has begun in this folder"
    if seen.state == "running":
        leader = f"pid {seen.pid} on {seen.host}" if seen.pid else f"on {seen.host}"
        leader = f"Slurm job {seen.job}, {leader}" if seen.job else leader
        return f"{scene}for {duration(_age(seen, seen.since))}, {seen.phase} ({leader})"
    ago = duration(_age(seen, seen.ended))
    took = duration((seen.ended or seen.time) - seen.since)
    if seen.state == "died":
        again = slurm.starting_again(seen.job) if seen.starts_again else AGAIN
        return f"{scene}last report {ago} ago, {took} after the start: {DIED}; {again}"
    code = f" (exit code {seen.code})" if seen.state == "failed" and seen.code else ""
    return f"{scene}{ago} ago, after {took}{code}"


def _named(output: str, frames: str) -> str:
    """Name images of an output: ``HD frames 12-13``."""
    several = "-" in frames or "," in frames  # not parsed: a journal may name frames that no run has
    return f"{output} frame{'s' if several else ''} {frames}"


def _renderers(ranks: Sequence[RankStatus], unit: str) -> list[str]:
    """Name the renderers; if they differ, with their ranks or groups."""
    where: dict[str, list[int]] = defaultdict(list)
    for rank in ranks:
        if rank.renderer:
            where[rank.renderer].append(rank.rank)
    if len(where) == 1:
        return list(where)
    return [f"{renderer} ({unit} {framesets.text(found)})" for renderer, found in where.items()]


def _rank_lines(seen: Status, most: int, width: int | None = None) -> list[str]:
    """Write the ranks as a table; of more than so many those that need attention, and what the others do."""
    if all(rank.heard is None for rank in seen.ranks):
        return []
    shown, others = list(seen.ranks), []
    if len(shown) > most:
        worst = sorted(shown, key=lambda rank: _worry(seen, rank), reverse=True)
        shown, others = worst[:most], worst[most:]
    titles = [rank_or_group(seen.ranks_per_frame), *TITLES]
    rows = [_cells(seen, rank) for rank in shown]
    table = _table(titles, rows)
    for title in HIDDEN_FIRST:
        if width is not None and max(map(len, table)) > width:
            titles.remove(title)
            table = _table(titles, rows)
    if width is None:
        return table + _others(seen, others)
    return [line[:width] for line in table] + _folded(_others(seen, others), width)


def _worry(seen: Status, rank: RankStatus) -> tuple[bool, float]:
    """Return a key that sorts ranks by the attention that they need: ranks at work first, then by silence."""
    at_work = rank.taken is not None or rank.doing not in (WAITING, "ended")
    return at_work, _age(seen, seen.since if rank.heard is None else rank.heard)


def _others(seen: Status, ranks: Sequence[RankStatus]) -> list[str]:
    """Sum up in a line what the ranks do that are not shown."""
    if not ranks:
        return []
    doing = ", ".join(f"{count} {words}" for words, count in Counter(rank.doing for rank in ranks).items())
    silent = max((_age(seen, rank.heard) for rank in ranks if rank.heard is not None), default=0.0)
    silence = f", none silent for more than {duration(silent)}" if seen.state == "running" else ""
    return [f"{'':>{LABEL}}  and {len(ranks)} more ({doing}){silence}"]


def _cells(seen: Status, rank: RankStatus) -> dict[str, str]:
    doing = rank.doing
    if rank.frame is not None:
        image = _named(rank.size or "", str(rank.frame))
        doing = f"{image} for {_span(_age(seen, rank.taken))}" if doing == RENDERING else f"{doing} in {image}"
    return {
        rank_or_group(seen.ranks_per_frame): str(rank.rank),
        "host": ",".join(host.split(".")[0] for host in rank.host.split(",")),
        "images": str(rank.images),
        "s/image": "" if rank.seconds_per_image is None else f"{rank.seconds_per_image:.2f}",
        "memory": "" if rank.memory is None else amount(rank.memory),
        "last report": "" if rank.heard is None else duration(_age(seen, rank.heard)),
        "doing": doing,
    }


def _table(titles: Sequence[str], rows: Sequence[dict[str, str]]) -> list[str]:
    """Align columns: text to the left, numbers to the right."""
    cells = [dict(zip(titles, titles)), *rows]
    widths = {title: max(len(row[title]) for row in cells) for title in titles}
    widths[titles[0]] = max(widths[titles[0]], LABEL)
    formats = {title: f"{'<' if title in LEFT else '>'}{width}" for title, width in widths.items()}
    return ["  ".join(format(row[title], formats[title]) for title in titles).rstrip() for row in cells]


def _few(texts: Sequence[str], what: str, most: int = LINES_OF_A_KIND) -> list[str]:
    """Return the first of many lines, how many are left out, and the last line, which often sums up."""
    if len(texts) <= most:
        return list(texts)
    left_out = len(texts) - most + 1
    return [*texts[: most - 2], f"... and {left_out} more {what} (--json shows all)", texts[-1]]


def _age(seen: Status, when: float | None) -> float:
    """Return how long ago something was, at least 0: the clocks of machines differ."""
    return max(seen.time - when, 0.0) if when is not None else 0.0


def _clock(when: float, now: float) -> str:
    """Write a time of day, with the date if it is not today."""
    then, today = time.localtime(when), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%H:%M on %A, %Y-%m-%d", then)


def _rate(rate: float) -> str:
    """Write images a second; slow rates a minute or an hour."""
    for each, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 0.1:
            return f"{rate * seconds:.2f} images/{each}"
    return f"{rate * 3600:.2f} images/h"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)
