"""The options that several commands share, in groups as --help shows them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from cloup import argument, option, option_group

from mpirender.system import site

SCENE = argument(
    "scene",
    help="A ParaView state: .pvsm, or .py, which is a program: whoever wrote it, you run it. Or Blender's: .blend.",
)

OUTPUT = option_group(
    "What comes out",
    option("-o", "--output", metavar="FOLDER", help="Folder of frames and movies. [default: SCENE_renders]"),
    option(
        "-s", "--size", "sizes", multiple=True, metavar="SIZE",
        help="Image resolution in pixels: HD, 4K, 720p, 1440p, 8K …, WxH or NAME=WxH; give it again for more than one. "
        "[default: the scene's own, else HD]",
    ),
    option("-f", "--frames", metavar="SET", help="Frames to render, counted from 0, those of a Blender file as it "
           "numbers them: 0-99, 0-999x2, 1,5,10-20. [default: all]"),
    option("-r", "--frame-rate", metavar="RATE", help="Frames a second of the movie; 30000/1001 works. [default: the "
           "scene's own, else 25]"),
    option("-m", "--movie", metavar="KIND", default="mp4",
           help="mp4 (H.264), webm, gif, mkv (lossless, for further cutting) or none."),
    option("--image-format", metavar="FORMAT", default="png", help="png, jpg or tiff."),
    option("--quality", type=int, metavar="NUMBER", help="Of jpg files, 0 to 100. [default: ParaView's, 95]"),
    option("--compression", metavar="HOW", help="Of tiff files: None, PackBits or Deflate; changes no pixel. "
           "[default: ParaView's, PackBits]"),
    option("--measure", multiple=True, metavar="WHAT", help="A number about the data of every image, in a table beside "
           "them: SOURCE.ARRAY is the range of an array of a source or filter, integral(SOURCE).ARRAY what ParaView's "
           "IntegrateVariables finds, Length, Area and Volume, too; give it again for more than one. inspect lists the "
           "sources."),
)  # fmt: skip
PICTURE = option_group(
    "What is in the picture",
    option("--view", "views", multiple=True, metavar="NAME", help="View to render, or all; give it again for more than "
           "one: each gets a folder and a movie. [default: the one the scene shows first]"),
    option("--layout", "layouts", multiple=True, metavar="NAME", help="Layout to render whole, by name or number (from "
           "1), or all; like --view."),
    option("--set", "overrides", multiple=True, metavar="NAME.PROPERTY=VALUE",
           help="Set a property of a source, filter, representation, view or colour map, in ParaView's Python names: "
           "Cone1.Resolution=32, Contour1.Isosurfaces=[100,130]; give it again for more than one. inspect lists the "
           "objects."),
    option("--camera", metavar="HOW", help="orbit turns the camera once around what it looks at, over the scene's "
           "frames (100 where nothing moves by itself); orbit:N over N frames in which all else stands still. Of a "
           "Blender scene it is the name of a camera."),
    option("--color-range", "color_range", multiple=True, metavar="[ARRAY=]HOW",
           help="Range of the colour maps: global (over all rendered frames), data (in the first), clamp (in each for "
           "itself) or MIN,MAX; give it again for single arrays. [default: as in the scene]"),
    option("--override-color-palette", metavar="NAME", help="ParaView colour palette, for example WhiteBackground."),
    option("--font-scaling", metavar="HOW", default="Scale fonts proportionally",
           help="'Scale fonts proportionally' or 'Do not scale fonts'."),
    option("--transparent-background", is_flag=True, help="Leave the background transparent (png, tiff; webm, gif). "
           "An mp4 shows black there."),
    option("--separator-width", type=int, metavar="PIXELS", help="Between a layout's views. [default: ParaView's]"),
    option("--separator-color", metavar="R,G,B", help="Of the lines between them, from 0 to 1. [default: ParaView's]"),
    option("--one-pass", is_flag=True, help="Give the view the size of the image, so that it is rendered in one pass "
           "instead of in tiles: faster where there is much geometry, and another picture. Text looks smaller."),
    option("--stereo-mode", metavar="MODE", default="No change", help="ParaView's stereo mode, such as 'Red-Blue'; "
           "'Both Eyes' renders each eye for itself: each gets a folder and a movie, HD_left and HD_right."),
)  # fmt: skip
DATA = option_group(
    "Where the data is",
    option("--data-dir", metavar="FOLDER", help="Look for the scene's data files in this folder, as ParaView's "
           "'Search files under specified directory' does; for states from another machine, Windows too."),
    option("--file", "files", multiple=True, metavar="READER=PATH",
           help="Read this file instead, by the reader's name in the pipeline; give it again for more than one."),
)  # fmt: skip
RUNNING = option_group(
    "How it runs",
    option("-n", "--ranks", type=int, metavar="N", help="MPI ranks. [default: one per core you may use]"),
    option("--ranks-per-frame", type=int, metavar="K", default=1,
           help="Ranks that load and render each frame together, for data that one rank's memory does not hold; ranks "
           "beyond a multiple of K are not started."),
    option("--schedule", metavar="HOW", default="auto",
           help="interleaved; contiguous (a block of frames per rank); or dynamic (frame by frame as ranks get free: "
           "where frames or nodes differ much). auto is contiguous for filters that carry something on from frame to "
           "frame (particle tracers), else interleaved."),
    option("--allow-order-dependence", is_flag=True, help="Render also where a script of the scene makes something "
           "else of a frame each time it runs. Without it that is tried before anything is rendered."),
    option("--on-error", metavar="WHAT", default="fail",
           help="fail a frame during which the engine reported an error, or warn and keep it."),
    option("--max-restarts", type=int, metavar="N", default=10,
           help="Start the ranks again this often when one dies. An image that kills its rank twice is set aside."),
    option("--frame-timeout", type=float, metavar="SECONDS",
           help="End a rank that takes longer for an image, as if it had died. [default: 20 times the slowest image so "
           "far, at least 10 minutes; 4 hours before the first is done]"),
    option("--grace-period", type=float, metavar="SECONDS", default=25,
           help="What images in flight get to end after a signal: SIGTERM, SIGUSR1, Ctrl-C."),
    option("--max-requeues", type=int, metavar="N", default=100,
           help="How often a Slurm job goes back into the queue when SIGUSR1 tells that its time is over."),
    option("--compression-level", type=int, metavar="LEVEL", default=1,
           help="zlib level of png files, 0 to 9: their size and writing time, never a pixel."),
)  # fmt: skip
BLENDER = option_group(
    "Of Blender files",
    option("--scene", "scene_name", metavar="NAME", help="Which of the file's scenes. [default: the one it shows]"),
    option("--view-layer", metavar="NAME", help="Only this view layer. [default: those that the scene renders]"),
    option("--blender-engine", metavar="NAME", help="cycles, eevee or workbench. [default: the scene's]"),
    option("--samples", type=int, metavar="N", help="Samples of each pixel (Cycles, EEVEE). [default: the scene's]"),
    option("--device", metavar="NAME", help="What Cycles renders with: cpu, gpu (the best there is), optix, cuda, hip "
           "or oneapi; the GPUs of a node go round among its ranks. A GPU that is asked for and not there is an error. "
           "[default: what the scene says, the CPU where that is not there]"),
    option("--allow-scripts", is_flag=True, help="Run the scripts inside the file, with your rights."),
)  # fmt: skip
RENDERER = option_group(
    "What it renders with",
    option("--backend", metavar="HOW", default="auto",
           help="egl, osmesa or glx. auto is EGL on a GPU if there is one, else OSMesa, else EGL on the CPU, else GLX "
           "on an X server of its own (Xvfb)."),
    option("--gpus", metavar="NUMBERS", help="EGL devices that the ranks of a node share in turn, such as 0,1; none "
           "for the CPU alone. [default: those that Slurm and CUDA make visible]"),
    option("--allow-software", is_flag=True, help="Render on the CPU where a GPU was asked for and cannot be used."),
    option("--display", metavar="NAME", help="X server to render on with --backend glx, such as :0."),
)  # fmt: skip
PROGRAMS = option_group(
    "Which programs",
    option("--pvbatch", metavar="PATH", help="ParaView's pvbatch. [default: MPIRENDER_PVBATCH, else from PATH]"),
    option(
        "--blender",
        metavar="PATH",
        help="A Blender, or a Python that has bpy. [default: MPIRENDER_BLENDER, else bpy of mpirender's own Python, "
        "else blender from PATH]",
    ),
    option(
        "--mpiexec",
        metavar="PATH",
        help="The MPI launcher that fits the MPI of the ranks. [default: the one beside pvbatch, else from PATH]",
    ),
    option(
        "--launcher",
        metavar="HOW",
        default="auto",
        help="What starts the ranks: mpiexec, srun, or none (one rank "
        "without MPI). auto is mpiexec; in a Slurm allocation it is what connects the ranks, found by trying.",
    ),
    option(
        "--container",
        metavar="IMAGE",
        envvar=site.CONTAINER,
        help="Run the ranks in this container (Apptainer), made with launch/paraview.def. "
        "[default: MPIRENDER_CONTAINER]",
    ),
)

# What most jobs need; anything else can follow after --.
OF_SBATCH = {
    "nodes": "Nodes.",
    "time": "Time limit of one turn, such as 2:00:00; a movie that takes longer goes on in the next.",
    "ntasks_per_node": "Ranks on each node. [default: one per core]",
    "cpus_per_task": "Cores of each rank, for its threads.",
    "gpus_per_node": "GPUs on each node.",
    "mem": "Memory on each node.",
    "partition": "Partition.",
    "account": "Account that pays.",
    "constraint": "Kind of node.",
    "dependency": "Wait for other jobs, such as afterok:17.",
    "mail_user": "Who is told of the end.",
    "mail_type": "When, such as END,FAIL.",
}
SLURM = option_group(
    "What Slurm is asked for (options of sbatch)",
    *(option(f"--{name.replace('_', '-')}", metavar="VALUE", help=text) for name, text in OF_SBATCH.items()),
)
MOVIE = option_group(
    "The movie",
    option("-r", "--frame-rate", metavar="RATE", help="Frames a second; 30000/1001 works. [default: the run's]"),
    option("-m", "--movie", metavar="KIND", help="mp4, webm, gif or mkv. [default: the run's; mp4 where it made none]"),
    option("--codec", metavar="CODEC", help="mp4: h264, h265, av1; webm: vp9, av1; mkv: images (the files themselves), "
           "ffv1. [default: the first of them]"),
    option("--name", metavar="SUFFIX",
           help="Write SCENE_SIZE_SUFFIX beside the movie that is there, instead of in its place."),
)  # fmt: skip
FRAMES = option_group(
    "Its frames",
    option("-s", "--size", "sizes", multiple=True, metavar="NAME",
           help="Only this size; give it again for more than one. [default: all of the run]"),
    option("-f", "--frames", metavar="SET", help="Frames to show, such as 0-99. [default: those of the run]"),
    option("--allow-missing", metavar="HOW", help="What to do with missing or damaged frames: skip leaves them out, "
           "hold shows the one before meanwhile. [default: make no movie]"),
)  # fmt: skip
SAYS = option_group(
    "What it says",
    option("--dry-run", is_flag=True, help="Check everything, print the command and who renders what; render nothing."),
    option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    option("-v", "--verbose", is_flag=True, help="Print the command that starts the ranks, too."),
)
VARY = option_group(
    "What is studied",
    option("--vary", multiple=True, metavar="NAME.PROPERTY=VALUES",
           help="A property and the values that it takes in turn, 100:200:20 (200 counts) or 3,6,12; give it again for "
           "more than one: every combination is rendered. Names as for --set."),
    option("--at", type=int, metavar="FRAME", help="Render this frame. [default: 0; more with --frames]"),
)  # fmt: skip


def RENDERING(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - like the groups that it stands for
    """Add all options of a job to a command."""
    groups = (OUTPUT, PICTURE, BLENDER, DATA, RUNNING, RENDERER, PROGRAMS)
    return reduce(lambda so_far, group: group(so_far), reversed(groups), command)
