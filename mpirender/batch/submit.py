"""Hand a job to Slurm: check it here, write its batch script into the output folder, submit that."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpirender.engines import Inspection
from mpirender.errors import ToolMissing, UsageError
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import lock
from mpirender.supervisor import preflight
from mpirender.system import files, site, slurm

NAME = "mpi_render.slurm"
PACKAGE = Path(__file__).resolve().parents[1]
LOG = "mpirender-%j.log"


def submit(job: RenderJob, script: str) -> str:
    """Write a batch script into the output folder and submit it; return the number of the job.

    Raises:
        UsageError: a run lives in the folder, or it cannot be written.
        ToolMissing: there is no sbatch.
        LaunchFailed: Slurm refuses it, with its reason.
    """
    if shutil.which("sbatch") is None:
        raise ToolMissing("sbatch is not found; submit on a login node of the cluster, or: mpirender render")
    place = job.output / NAME
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        owner = lock.living_owner(job.folder)
        if owner is not None:
            raise UsageError(lock.busy(job.folder, owner))
        files.write_text(place, script)
    except OSError as error:
        raise UsageError(f"{place}: cannot be written ({error.strerror or error})") from None
    return slurm.run("sbatch", "--parsable", str(place)).split(";")[0].strip()


def script_for(job: RenderJob, options: Sequence[str], template: Path) -> str:
    """Return the batch script of a job: the template with sbatch's options and the arguments of render put in.

    Options that stand later in a script win over those before.

    Args:
        options: of sbatch, as words; those of a value may stand apart (``--qos high``).
        template: a script like ``launch/mpi_render.slurm``, which renders what its arguments say.
    """
    text = template.read_text()
    own = [f"--job-name={job.scene.stem}", f"--output={logs(job)}"]
    lines = text.splitlines()
    behind = 1 + max((number for number, line in enumerate(lines) if line.startswith("#SBATCH")), default=0)
    added = ["# Put in by mpirender submit:", *directives([*own, *options]), *path_lines(os.environ)]
    added += [f"export {site.BATCH_COMMAND}=study"] if job.vary else []
    added.append(f"set -- {shlex.join(job.arguments())}")
    return "\n".join([*lines[:behind], *added, *lines[behind:], ""])


def logs(job: RenderJob) -> str:
    """Return where the job's log goes, as Slurm's pattern; a percent sign of the folder stands for itself."""
    return f"{str(job.output).replace('%', '%%')}/{LOG}"


def directives(options: Sequence[str]) -> list[str]:
    """Write options of sbatch as lines of a script, each with its value."""
    lines: list[list[str]] = []
    for word in options:
        if word.startswith("-"):
            lines.append([word])
        else:
            lines[-1].append(word)
    return [f"#SBATCH {shlex.join(words)}" for words in lines]


def path_lines(environ: Mapping[str, str]) -> list[str]:
    """Return the line that lets the job find this mpirender where its own environment has none."""
    program = Path(sys.argv[0]).absolute()
    if program.name != "mpirender" or not program.is_file():
        program = Path(sys.executable).with_name("mpirender")
    return [f"PATH=$PATH:{shlex.quote(str(program.parent))}"] if program.is_file() else []


def template() -> Path:
    """Return the script to start from: the site's own (``MPIRENDER_SLURM_SCRIPT``), or the one that comes along."""
    own = site.read(site.BATCH_SCRIPT)
    places = [Path(own)] if own else [PACKAGE / NAME, PACKAGE.parent / "launch" / NAME]
    return next((place for place in places if place.is_file()), places[-1])


def check(job: RenderJob, inspection: Inspection | None) -> None:
    """Check everything that can be checked here; the programs may exist only where the job runs.

    Raises:
        UsageError: with every mistake.
    """
    mistakes: list[str] = []
    try:
        preflight.check(job, inspection, tools=False)
    except UsageError as error:
        mistakes += error.mistakes
    if re.search(r"[\r\n]", f"{job.output}{job.scene.stem}"):
        mistakes.append(f"{job.scene.name!r} to {str(job.output)!r}: Slurm takes no line breaks in names")
    if mistakes:
        raise UsageError(mistakes)


def wrong_script(script: Path, *, study: bool = False) -> list[str]:
    """Say why a batch script will not do."""
    if not script.is_file():
        return [f"--script {script}: no such file"]
    text = script.read_text(errors="replace")
    if study and site.BATCH_COMMAND not in text:
        return [
            f"--script {script}: it renders, and makes no study; take over ${site.BATCH_COMMAND} from launch/{NAME}"
        ]
    if '"$@"' not in text:
        return [f'--script {script}: it does not pass its arguments on ("$@"); start from launch/{NAME}']
    return []


def wrong_options(options: Sequence[str]) -> list[str]:
    """Say what sbatch cannot take."""
    if options and not options[0].startswith("-"):
        return [f"{options[0]!r} is neither an option nor belongs to one; options of sbatch follow after --"]
    return [f"{option!r}: Slurm takes no line breaks" for option in options if re.search(r"[\r\n]", option)]
