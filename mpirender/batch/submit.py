"""Submit a job to Slurm: check it here, write its batch script into the output folder, and run sbatch."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpirender.engines.base import Inspection
from mpirender.errors import LaunchFailed, ToolMissing, UsageError
from mpirender.job import paths
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import folder, own_files
from mpirender.supervisor import preflight
from mpirender.system import files, site, slurm
from mpirender.system.text import whole_number

NAME = "mpi_render.slurm"
PACKAGE = Path(__file__).resolve().parents[1]
ELSEWHERE = "submit on a login node of the cluster, or use mpirender render here"
NO_CLUSTER = "Could not establish a configuration source"  # what sbatch says without slurm.conf
LOG = "mpirender-%j.log"


def submit(job: RenderJob, script: str) -> str:
    """Write a batch script into the output folder and submit it; return the number of the Slurm job.

    :raises UsageError: another run uses the folder, or the script cannot be written.
    :raises ToolMissing: sbatch is not found.
    :raises LaunchFailed: Slurm refused the job, with its message.
    """
    need_sbatch()
    place = job.output / NAME
    try:
        folder.make(job)
        with own_files.recording(job) as made:
            own_files.refuse(job, place)
            files.write_text(place, script, made=made)
    except OSError as error:
        raise UsageError(f"{place}: cannot be written ({error.strerror or error})") from None
    return sbatch(place)


def need_sbatch() -> None:
    """Raise ToolMissing if sbatch is not found."""
    if shutil.which("sbatch") is None:
        raise ToolMissing(f"sbatch is not found; {ELSEWHERE}")


def sbatch(place: Path) -> str:
    """Submit a batch script; return the number of the Slurm job.

    :raises LaunchFailed: Slurm refused the job, with its message.
    """
    try:
        return slurm.run("sbatch", "--parsable", str(place)).split(";")[0].strip()
    except LaunchFailed as error:
        if NO_CLUSTER in str(error):
            raise LaunchFailed(f"this machine belongs to no Slurm cluster; {ELSEWHERE}") from None
        raise


def part_of_node(cores: int, given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the options of sbatch for a part of one node, and the mistakes in them.

    :param cores: the number of cores.
    :param given: the options of sbatch that the user gave, by name, for example ``cpus_per_task``.
    """
    against = [f"--{name.replace('_', '-')}" for name in ("nodes", "ntasks_per_node") if name in given]
    if against:
        return [], [f"--cores and {' and '.join(against)} exclude each other; leave out --cores for whole nodes"]
    threads = whole_number(given.get("cpus_per_task", "1")) or 1
    if cores % threads:
        return [], [f"--cores {cores} is no multiple of --cpus-per-task {threads}, which each rank gets"]
    return ["--nodes=1", f"--ntasks={cores // threads}"], []


def script_for(job: RenderJob, options: Sequence[str], template: Path, *, shares_node: bool = False) -> str:
    """Return the batch script of a job: the template with options of sbatch and the arguments of render inserted.

    The inserted options override those of the template, since they come later.

    Options are words for sbatch, in which a value may be a word of its own (``--qos high``). The template is a script
    like ``launch/mpi_render.slurm``, which passes its arguments to mpirender. With ``shares_node``, the job leaves
    cores of its node to other jobs.
    """
    log = f"{str(job.output).replace('%', '%%')}/{LOG}"  # Slurm replaces %j
    own = [f"--job-name={job.scene.stem}", f"--output={log}"]
    exports = [f"export {site.BATCH_COMMAND}=study"] if job.vary else []
    script = filled(template, [*own, *options], exports, job.arguments())
    return re.sub(r"^#SBATCH --exclusive\b.*\n", "", script, flags=re.MULTILINE) if shares_node else script


def filled(template: Path, options: Sequence[str], exports: Sequence[str], arguments: Sequence[str]) -> str:
    """Return a batch script with options of sbatch, further lines and its arguments inserted."""
    lines = template.read_text().splitlines()
    first = 1 + max((number for number, line in enumerate(lines) if line.startswith("#SBATCH")), default=0)
    added = ["# Inserted by mpirender:", *directives(options), *path_lines(), *exports]
    added.append(f"set -- {shlex.join(arguments)}")
    return "\n".join([*lines[:first], *added, *lines[first:], ""])


def directives(options: Sequence[str]) -> list[str]:
    """Return options of sbatch as lines of a script, each with its value."""
    lines: list[list[str]] = []
    for word in options:
        if word.startswith("-"):
            lines.append([word])
        else:
            lines[-1].append(word)
    return [f"#SBATCH {shlex.join(words)}" for words in lines]


def path_lines() -> list[str]:
    """Return the line with which the job finds this mpirender if its own environment has none."""
    program = Path(sys.argv[0]).absolute()
    if program.name != "mpirender" or not program.is_file():
        program = Path(sys.executable).with_name("mpirender")
    return [f"PATH=$PATH:{shlex.quote(str(program.parent))}"] if program.is_file() else []


def template(own: str = "", name: str = NAME) -> Path:
    """Return a template: the script of the site (``own``, else ``MPIRENDER_SLURM_SCRIPT``), or that of mpirender."""
    own = own or (site.read(site.BATCH_SCRIPT) if name == NAME else "")
    places = [Path(own)] if own else [PACKAGE / name, PACKAGE.parent / "launch" / name]
    return next((place for place in places if paths.is_file(place)), places[-1])


def check(job: RenderJob, inspection: Inspection | None) -> None:
    """Check everything that can be checked here; the programs may exist only where the job runs.

    :raises UsageError: with every mistake.
    """
    mistakes: list[str] = []
    try:
        preflight.check(job, inspection, tools=False)
    except UsageError as error:
        mistakes += error.mistakes
    if re.search(r"[\r\n]", f"{job.output}{job.scene.stem}"):
        mistakes.append(f"{job.scene.name!r} to {str(job.output)!r}: Slurm does not accept line breaks in names")
    if mistakes:
        raise UsageError(mistakes)


def wrong_script(script: Path, *, study: bool = False) -> list[str]:
    """Return why a batch script cannot be used."""
    if not paths.is_file(script):
        return [f"--script {script}: no such file"]
    text = script.read_text(errors="replace")
    if study and site.BATCH_COMMAND not in text:
        return [
            f"--script {script}: it cannot run a study or an estimate; copy ${site.BATCH_COMMAND} from launch/{NAME}"
        ]
    if '"$@"' not in text:
        return [f'--script {script}: it does not pass its arguments on ("$@"); start from a copy of launch/{NAME}']
    return []


def wrong_options(options: Sequence[str]) -> list[str]:
    """Return which words sbatch cannot accept."""
    if options and not options[0].startswith("-"):
        return [f"{options[0]!r} is neither an option nor its value; give options of sbatch after --"]
    if arrays := [option for option in options if re.match(r"--ar|-a", option)]:
        return [f"{arrays[0]}: {slurm.NO_ARRAY}; --nodes gives it more ranks"]
    return [f"{option!r}: Slurm does not accept line breaks" for option in options if re.search(r"[\r\n]", option)]
