"""The options of the commands, in groups as --help shows them; those of a job come from the fields of RenderJob."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import click
import cloup
from cloup import option, option_group

from mpirender.job.options import CODEC_NAMES, PIXEL_FORMATS
from mpirender.job.render_job import OPTIONS
from mpirender.system import site

SETTINGS = cloup.Context.settings(
    show_default=True, help_option_names=["-h", "--help"],
    formatter_settings=cloup.HelpFormatter.settings(max_width=100),
)  # fmt: skip
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
SCENE = cloup.argument("scene", help=OPTIONS["scene"].help)
ARGUMENTS = cloup.argument(
    "script_arguments", nargs=-1, help=OPTIONS["script_arguments"].help, required=False, metavar="[-- ARGUMENTS]"
)
RUN_FOLDER = cloup.argument("output", help="Output folder of a run.")
ENVIRONMENT = {"container": site.CONTAINER}  # read here, since the ranks must not read it again
GROUPS = list(dict.fromkeys(one.group for one in OPTIONS.values() if one.group))


def of_job(field: str, **changes: Any) -> Decorator:  # noqa: ANN401
    """Return the option that sets a field of a job."""
    one = OPTIONS[field]
    usual: dict[str, Any] = {"help": one.text, "envvar": ENVIRONMENT.get(field)}
    if one.kind is bool:
        usual["is_flag"] = True
    else:
        default = None if one.several or one.without else one.default
        usual |= {"type": one.kind, "metavar": one.metavar, "multiple": one.several, "default": default}
    return option(*filter(None, [one.short, one.flag]), field, **{**usual, **changes})


def group_of_job(group: str, *others: Decorator) -> Decorator:
    """Return a group of options that set fields of a job, with others behind them."""
    fields = [field for field, one in OPTIONS.items() if one.group == group]
    return option_group(group, *map(of_job, fields), *others)


RENDERING = [group_of_job(group) for group in GROUPS if group != "Parameter study"]
AT = option("--at", type=int, metavar="FRAME", help="Frame to render; for several frames use --frames. [default: 0]")
PROGRAMS = option_group("Programs", *map(of_job, ("pvbatch", "blender", "mpiexec", "container")))
STUDY = [group_of_job("Parameter study", AT), *RENDERING]
# What most jobs need; other options of sbatch can follow after --.
OF_SBATCH = {
    "nodes": "Number of nodes.",
    "time": "Time limit of each run of the job, such as 2:00:00. A longer render requeues itself and continues.",
    "ntasks_per_node": "Ranks on each node. [default: one for each core]",
    "cpus_per_task": "Cores of each rank, for its threads.",
    "gpus_per_node": "GPUs on each node.",
    "mem": "Memory on each node.",
    "partition": "Partition.",
    "account": "Account to charge.",
    "constraint": "Required features of the nodes.",
    "dependency": "Jobs to wait for, such as afterok:17.",
    "mail_user": "Address for notifications.",
    "mail_type": "Events that send a notification, such as END,FAIL.",
}
SUBMISSION = option_group(
    "Submission",
    option("--script", metavar="PATH",
           help="Batch script to use. [default: MPIRENDER_SLURM_SCRIPT, else the script of mpirender]"),
    option("--print", "print_only", is_flag=True, help="Print the batch script; do not submit it."),
    option("--estimate", metavar="HOW", type=click.Choice(["here", "job"]), help="Estimate the run first, on this "
           "machine (here) or in a short job on one node (job). Nodes and time limit are taken from that if you give "
           "none. See mpirender estimate."),
    option("--cores", type=click.IntRange(min=1), metavar="N",
           help="Take N cores of one node, and leave the others to other jobs. [default: whole nodes]"),
)  # fmt: skip
SLURM = option_group(
    "Slurm job (options of sbatch)",
    *(option(f"--{name.replace('_', '-')}", metavar="VALUE", help=text) for name, text in OF_SBATCH.items()),
)
ENCODING = option_group(
    "Movie",
    of_job("frame_rate", help="Frames per second, a number or a ratio such as 30000/1001. [default: as rendered]"),
    of_job("movie", default=None, help="Movie format: mp4, webm, gif, mkv. [default: as rendered, else mp4]"),
    of_job("codec", help=f"Codec. {CODEC_NAMES} (images: the image files, unchanged). [default: as rendered]"),
    of_job("pixel_format", default=None,
           help=f"How mp4 and webm movies store colors: {', '.join(PIXEL_FORMATS)}. [default: as rendered]"),
    option("--name", metavar="SUFFIX", help="Write SCENE_SIZE_SUFFIX instead of replacing the movie. [default: the "
           "codec, if it is not that of the run]"),
    of_job("overwrite", help="Replace movies that mpirender did not make."),
    of_job("no_metadata", help="Write no scene, frames, versions, fingerprint and command into the movies. [default: "
           "as rendered]"),
    of_job("sizes", metavar="NAME", help="Encode only this size. Can be repeated. [default: all sizes of the run]"),
    of_job("frames", help="Frames to show, such as 0-99. [default: all frames of the run]"),
    option("--allow-missing", metavar="HOW", help="What to do about missing or damaged frames: skip (leave them out), "
           "hold (repeat the frame before). [default: make no movie]"),
    option("-w", "--watch", is_flag=True, help="While a run renders, keep the preview of its movie up to date, until "
           "the run ends."),
)  # fmt: skip
SESSION = option_group(
    "Session",
    option(
        "--memory",
        metavar="SIZE",
        help="Memory that the data need, such as 90G. The server gets a rank for each "
        "45 GB (MPIRENDER_RANK_MEMORY), at least 1 and at most 4 (MPIRENDER_MAX_RANKS).",
    ),
    of_job("ranks", help="Number of MPI ranks of the server. [default: as the memory says]"),
    option(
        "--time",
        metavar="LIMIT",
        help="Time limit, such as 1:30:00. [default: that of the batch script; none without Slurm]",
    ),
    option(
        "--keep",
        is_flag=True,
        help="Serve again when the client has left or the server has died, until the time "
        "limit. Otherwise the session ends.",
    ),
    option("--output-file", metavar="PATH", help="Also write the output of the server to this file."),
    option("--mail-user", metavar="ADDRESS", help="Send a mail that says how to connect when the server is ready."),
    option(
        "--login-host",
        metavar="[USER@]HOST",
        help="Where the ssh tunnel goes through. [default: MPIRENDER_LOGIN_HOST, else this host]",
    ),
    option(
        "--reverse",
        metavar="HOST:PORT",
        help="Let the server connect to a ParaView that waits on HOST, for sites that allow no tunnel to a node.",
    ),
    option("--id-file", metavar="PATH", hidden=True),  # these three are for mpirender itself, and for ParaView
    option("--relay", type=int, hidden=True),
    option("--client-version", hidden=True),
    option("--local-port", type=int, default=11111, metavar="N", help="Port of the tunnel on the client's machine."),
)
SESSION_JOB = option_group(
    "Slurm job",
    option("--nodes", type=int, default=1, metavar="N", help="Number of nodes, which share the memory and the ranks."),
    option("--gpus", type=int, metavar="N", help="Number of GPUs. [default: MPIRENDER_SESSION_GPUS for each rank]"),
    option("--partition", metavar="NAME", help="Partition."),
    option(
        "--shared",
        is_flag=True,
        help="Let other jobs run on the nodes. Their users can then read the connection id and so use the session.",
    ),
    option("--print", "print_only", is_flag=True, help="Print the batch script; do not submit it."),
)
SESSIONS = option_group(
    "Other sessions",
    option("--list", "list_all", is_flag=True, help="List your sessions."),
    option("--watch", metavar="JOB", help="Show what happens in a session until it ends."),
    option("--stop", metavar="JOB", help="End a session."),
    option(
        "--desktop-file",
        metavar="PATH",
        help="Write a file with which ParaView's Connect dialog starts sessions on this cluster, through ssh.",
    ),
)
SERVER = option_group(
    "Programs and hardware",
    *map(of_job, ("launcher", "pvbatch", "mpiexec", "container", "backend", "allow_software", "display")),
)
DRY_RUN = option("--dry-run", is_flag=True, help="Check everything, and print the commands; start nothing.")
INSPECTION = [
    group_of_job("Data files"),
    of_job("sizes", help="Estimate the cost at this size. Can be repeated. [default: HD and 4K]"),
    *map(of_job, ("scene_name", "no_scripts", "plugins", "pvbatch", "blender")),
]
JSON = option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
WATCH = option("-w", "--watch", is_flag=True, help="Repeat every two seconds until the run ends.")
HTML = option(
    "--html", metavar="FILE",
    help="Also write the page about the run (report.html) into this file; with --watch, keep it current.",
)  # fmt: skip
QUIET = option("-q", "--quiet", is_flag=True, help="Print only errors.")
PRINTING = option_group(
    "Printing",
    option("--dry-run", is_flag=True, help="Check everything, and print the command and the schedule; render nothing."),
    QUIET,
    option("-v", "--verbose", is_flag=True, help="Print the command that starts the ranks."),
)


def with_options(*decorators: Decorator) -> Decorator:
    """Return a decorator that adds options and arguments to a command, in this order."""
    return lambda command: reduce(lambda so_far, one: one(so_far), reversed(decorators), command)
