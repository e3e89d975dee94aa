"""Command lines that click cannot read: each mistake in one line that names the option or command that is meant."""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from mpirender.errors import UsageError, one_line
from mpirender.job import paths
from mpirender.job.render_job import FOLDER
from mpirender.system.text import did_you_mean

# Names in other programs, and ours for the same.
OTHER_NAMES = {
    "--fps": "--frame-rate", "--framerate": "--frame-rate", "--resolution": "--size", "--width": "--size",
    "--height": "--size", "--range": "--frames", "--start": "--frames", "--end": "--frames", "--step": "--frames",
    "--np": "--ranks", "--nprocs": "--ranks", "--processes": "--ranks", "--jobs": "--ranks", "--format": "--movie",
    "--out": "--output", "--folder": "--output",
}  # fmt: skip
SCENES = (".pvsm", ".py", ".blend", ".pattern")


class Commands(cloup.Group):
    """The commands; the first word may be a file by mistake."""

    def handle_bad_command_name(
        self, bad_name: str, valid_names: list[str], error: click.UsageError
    ) -> click.UsageError:
        """Raise an error that names the command that is meant.

        :raises UsageError: always.
        """
        if paths.is_folder(Path(bad_name) / FOLDER):
            raise UsageError(f"{bad_name}: say what to do with it: mpirender status {bad_name}, or encode")
        if Path(bad_name).suffix.lower() in SCENES or paths.exists(bad_name):
            raise UsageError(f"{bad_name}: say what to do with it: mpirender render {bad_name}, or inspect, or submit")
        meant = did_you_mean(bad_name, valid_names)
        others = f"; there are: {', '.join(valid_names)}"
        raise UsageError(f"{bad_name!r} is no command{meant or others}")


def line(error: click.ClickException) -> str:
    """Return the message of an error in one line."""
    command = error.ctx.command if isinstance(error, click.UsageError) and error.ctx is not None else None
    name = command.name if command is not None and command.name != "cli" else ""
    see = f"; see {' '.join(filter(None, ['mpirender', name, '--help']))}"
    if isinstance(error, click.NoSuchOption):
        return f"{error.option_name} is no option{f' of {name}' if name else ''}{_meant(error, command) or see}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{error.param.human_readable_name} is missing{see}"
    text = one_line(error.format_message()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}{see}"


def _meant(error: click.NoSuchOption, command: click.Command | None) -> str:
    """Return which option of this or another command is meant, empty if that is not known."""
    own = _flags(command)
    wanted = OTHER_NAMES.get(error.option_name, error.option_name)
    if wanted in own:
        return f"; use {wanted}"
    group = error.ctx.find_root().command if error.ctx is not None else None
    others = group.commands.items() if isinstance(group, click.Group) else ()
    if having := [name for name, other in others if wanted in _flags(other)]:
        return f" but of {', '.join(having)}: mpirender {having[0]} … {wanted}"
    return did_you_mean(error.option_name, own)


def _flags(command: click.Command | None) -> list[str]:
    return [flag for param in (command.params if command else ()) for flag in param.opts if flag.startswith("--")]
