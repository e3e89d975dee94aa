"""The page docs/reference/options.md, with every option of every command: ``python -m mpirender.cli.reference``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from mpirender.cli.commands import cli
from mpirender.cli.options import GROUPS
from mpirender.job.render_job import OPTIONS

HEAD = """# Options

This page lists every option of every command, and the field of `RenderJob` that sets it from Python. It is generated:
`python -m mpirender.cli.reference > docs/reference/options.md`.

The first tables list the options of `render`, `study`, `submit`, `estimate` and `RenderJob`. `--vary` and `--at` do not
belong to `render` and `estimate`. *Scenes* are the kinds of scenes that an option applies to. *Out of date* says
whether existing images are out of date if you change the option, so that they are rendered again. They are also out of
date if the scene, its data files, or the version or renderer of ParaView or Blender change.
"""
KINDS = {"paraview": "ParaView", "blender": "Blender"}


def page() -> str:
    """Return the page."""
    shared = _records("submit", cli.commands["submit"])
    parts = [HEAD]
    for group in GROUPS:
        rows = [
            (names, f"`{field}`", ", ".join(KINDS[one] for one in option.engines if one in KINDS) or "all",
             "yes" if option.pixels else "no", help_text)
            for field, option in OPTIONS.items()
            if option.group == group
            for names, help_text in [shared[field]]
        ]  # fmt: skip
        parts.append(_table(group, ("option", "field", "scenes", "out of date", "description"), rows))
    for names, command in commands():
        own = not names.endswith(("render", "study", "submit", "estimate"))
        others = [record for name, record in _records(names, command).items() if own or name not in OPTIONS]
        parts.append(_table(f"Options of `{names}`{'' if own else ' only'}", ("option", "description"), others))
    return "\n".join(parts)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its name, which for those of a group begins with that of the group."""
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {other}", one) for other, one in command.commands.items())
        else:
            yield name, command


def _records(name: str, command: click.Command) -> dict[str, tuple[str, str]]:
    """Return names and help of the options of a command, by parameter."""
    context = command.make_context(name, [], resilient_parsing=True, parent=click.Context(cli))
    found = [(str(option.name), option.get_help_record(context)) for option in command.params]
    return {
        name: (", ".join(f"`{part}`" for part in record[0].split(", ")), " ".join(record[1].split()))
        for name, record in found
        if record
    }


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


if __name__ == "__main__":
    click.echo(page(), nl=False)
