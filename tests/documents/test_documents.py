"""Check the documents: links, options, exit codes, environment variables and the commands they show."""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from amazon import amazon
from mpirender import errors
from mpirender.cli import reference
from mpirender.cloud import configuration
from mpirender.job.outputs import SIZE_NAMES
from processes import Run, need
from repository import REPOSITORY

DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md")), REPOSITORY / "benchmarks" / "README.md"]
DOCUMENTS = [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md"]
TEXTS = {page: page.read_text() for page in DOCUMENTS}
BENCHMARKS = ("compare", "gpu", "memory", "reloads", "scaling", "schedules", "writing")  # modules with their own parser
README_BYTES = 8192

# Options of programs whose help the tests do not read: tests/run.sh, pvbatch, paraview, srun.
OTHER_OPTIONS = {
    "--connect-id", "--server-url", "--no-mpi", "--fast", "--help", "--hint", "--mpi", "--open-mode", "--sym"
}  # fmt: skip

VARIABLE = re.compile(
    r"(AWS|SLURMD?|MPIRENDER|OMPI|PRTE|PMIX?|CUDA|GPU|VTK|LP|OSPRAY|OMP|OPENBLAS|XDG|HWLOC|IMAGEIO|AV_LOG|LD|BLENDER)_\w+"
    r"|PV_PLUGIN_PATH|PYTHON[A-Z]+|DISPLAY|XAUTHORITY|PATH|HOME|TMPDIR"
)
ENGINE_NAMES = {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}  # Blender's names for its render engines
OF_CONTAINER = {"PYTHONHOME", "PYTHONSTARTUP", "PYTHONNOUSERSITE"}  # used only inside launch/paraview.def


def blocks(text: str) -> list[str]:
    """Return the code blocks of a page except those in Python."""
    return [block for block in text.split("```")[1::2] if not block.startswith("python\n")]


def shown_commands(start: str) -> list[str]:
    """Return the distinct lines of code blocks that begin with these words, with continued lines joined."""
    text = "\n".join(block.replace("\\\n", " ") for page in PAGES for block in blocks(TEXTS[page]))
    lines = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(f"{start} ")))


@pytest.fixture
def folder(scenes: SimpleNamespace, tmp_path: Path) -> Path:
    """Create the scenes that the pages name, among them an orbit of 1000 frames and a state whose data has moved."""
    orbit = scenes.state("orbit").read_text()
    longer = re.sub(r'(name="NumberOfFrames"[^>]*>\s*<Element index="0" value=)"\d+"', r'\1"1000"', orbit)
    assert longer != orbit
    (tmp_path / "orbit.pvsm").write_text(longer)
    series = scenes.state("series").read_text().replace(f"{scenes.folder}/data/", "C:\\somewhere\\")
    (tmp_path / "moved.pvsm").write_text(series)
    shutil.copytree(scenes.folder / "data", tmp_path / "data")
    shutil.copy(scenes.state("cut"), tmp_path / "wave.pvsm")
    (tmp_path / "cone.py").write_text("from paraview.simple import *\nShow(Cone())\n")
    (tmp_path / "paraview.sif").touch()
    values = {"max_nodes": 4, "head": "t3.large", "storage": "efs", "max_hours": 24, "subnet": "subnet-12345678"}
    instances = configuration.instances_of("c7i.4xlarge=0.31")
    farm = configuration.template("farm", "eu-central-1", instances, key="me", **values)
    (tmp_path / "farm.yaml").write_text(farm)
    return tmp_path


def bring_blend(request: pytest.FixtureRequest, folder: Path, text: str) -> None:
    """Copy the Blender file of the pages if the text names one; not every Python can create it."""
    if ".blend" in text:
        shutil.copy(request.getfixturevalue("blends").file("shot"), folder)


ALL = shown_commands("mpirender")
DRY = {"render": "--dry-run", "estimate": "--dry-run", "study": "--dry-run", "submit": "--print", "serve": "--dry-run"}
IN_THE_CLOUD = ("create", "upload", "submit", "status", "fetch", "delete", "render")  # commands with --dry-run
OF_A_RUN = [command for command in ALL if command.split()[1] in ("status", "report", "encode", "whence")]


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in ALL if command not in OF_A_RUN])
def test_the_commands_shown_are_accepted(
    request: pytest.FixtureRequest, run: Run, folder: Path, apptainer: Path, command: str
) -> None:
    """Render commands run with --dry-run (checks scene, data, options, programs), submit commands with --print.

    Those for the cloud run with --dry-run, too; cloud list asks a simulation of Amazon.

    container.sh builds the real container image and renders with it.
    """
    bring_blend(request, folder, command)
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "cloud":
        words[2:2] = ["--dry-run"] if words[1] in IN_THE_CLOUD else []
    elif (dry := DRY.get(words[0])) and dry not in words:
        words.insert(1, dry)
    with amazon() if words[:2] == ["cloud", "list"] else contextlib.nullcontext({}) as variables:
        done = run(*words, cwd=folder, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_the_commands_shown_about_a_run_work_on_one(run: Run, folder: Path) -> None:
    assert run("render", "orbit.pvsm", "--frames", "0-2", "--size", "HD=160x90", cwd=folder).returncode == 0
    for command in OF_A_RUN:
        done = run(*shlex.split(command, comments=True)[1:], cwd=folder)
        assert done.returncode == 0, command + done.stderr
        assert done.stdout


@pytest.mark.parametrize("command", shown_commands("python -m"))
def test_the_benchmarks_shown_have_these_options(command: str) -> None:
    module, *words = shlex.split(command, comments=True)[2:]
    importlib.import_module(module).parser().parse_args(words)


PYTHON = dict.fromkeys(
    script for page in PAGES for script in re.findall(r"```python\n(.*?)```", TEXTS[page], re.DOTALL)
)


# Fewer and smaller images than the scripts of the pages make.
LESS = {
    '"720p"': '"160x90"',
    "(1280, 720)": "(160, 90)",
    "range(0, 360, 30)": "range(0, 360, 90)",
    "ranks=4": "ranks=2",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", PYTHON, ids=lambda script: script.strip().splitlines()[-1].strip())
def test_the_python_shown_runs(request: pytest.FixtureRequest, folder: Path, script: str) -> None:
    bring_blend(request, folder, script)
    for much, little in LESS.items():
        script = script.replace(much, little)
    (folder / "example.py").write_text(script)
    done = subprocess.run([sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Error" not in done.stdout


@pytest.mark.slow
def test_the_folder_shown_is_what_a_run_leaves(run: Run, folder: Path) -> None:
    assert run("render", "orbit.pvsm", "--frames", "0-1", "--ranks", 2, cwd=folder).returncode == 0
    page = TEXTS[DOCS / "reference" / "output-folder.md"]
    for name in ("HD/frame_000000.png", "orbit_HD.mp4", "contact_sheet.png", ".mpirender"):
        assert (folder / "orbit_renders" / name).exists()
        assert name.split("/")[0] in page
    left = {path.name for path in (folder / "orbit_renders" / ".mpirender").iterdir()}
    shown = set(re.findall(r"^\| `([\w.-]+)`", page, re.MULTILINE))
    assert left - {"rank-0001.jsonl", "rank-0001.log"} == shown - {"lock"}


@pytest.mark.slow
def test_the_mpiexec_line_shown_is_the_one_that_is_run(run: Run, folder: Path) -> None:
    (line,) = shown_commands("mpiexec")
    shown = run("render", "orbit.pvsm", "--ranks", 8, "--dry-run", cwd=folder).stdout.splitlines()[-1]
    words = [word for word in shlex.split(shown)[1:] if not re.match(r"[A-Z_0-9a-z]+=", word)]
    assert [Path(word).name for word in words] == [Path(word).name for word in line.split()]
    assert words[-1] == str(folder / line.split()[-1])


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the options of mpirender, its benchmarks and sbatch."""
    configuration = tmp_path_factory.mktemp("slurm") / "slurm.conf"
    configuration.write_text("ClusterName=x\nSlurmctldHost=localhost\n")
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    of_sbatch = subprocess.run([need("sbatch"), "--help"], env=environment, capture_output=True, text=True, check=True)
    known = {name for _, command in reference.commands() for parameter in command.params for name in parameter.opts}
    for name in BENCHMARKS:
        parser = importlib.import_module(f"benchmarks.{name}").parser()
        known |= {option for action in parser._actions for option in action.option_strings}
    return known | OTHER_OPTIONS | set(re.findall(r"--[a-z][a-z-]+", of_sbatch.stdout))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_pages_name_only_options_that_exist(options: set[str], page: Path) -> None:
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXTS[page])) <= options


def test_the_page_of_exit_codes_names_every_one() -> None:
    page = TEXTS[DOCS / "reference" / "exit-codes.md"]
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert table == {0, *errors.BY_EXIT_CODE}


def variables_in(path: Path) -> set[str]:
    """Return the environment variables named in a file; in Python, only in strings and names of arguments."""
    text = path.read_text()
    if path.suffix != ".py":
        return set(re.findall(r"(?:\$\{?|export |^ *|,)([A-Z_]+)(?==|\b)", text, re.MULTILINE))
    nodes = list(ast.walk(ast.parse(text)))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return strings | {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}


def test_the_page_of_environment_variables_is_complete() -> None:
    sources = [*(REPOSITORY / "mpirender").rglob("*.py"), *(REPOSITORY / "launch").iterdir()]
    found = {name for path in sources if path.is_file() for name in variables_in(path) if VARIABLE.fullmatch(name)}
    table = re.findall(r"^\| (`.*?) \|", TEXTS[DOCS / "reference" / "environment-variables.md"], re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", " ".join(table)))
    # The code names this variable only inside a regular expression.
    assert listed - {"LD_PRELOAD"} == found - ENGINE_NAMES - OF_CONTAINER


def test_the_sizes_that_help_names_exist(run: Run) -> None:
    text = " ".join(run("render", "--help").stdout.split())
    named = re.search(r"Image resolution in pixels: a name \((.*?), …\)", text)[1].split(", ")
    assert set(named) <= set(SIZE_NAMES)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        if "://" not in link:
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not heading or heading in headings(target), link


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_links_every_page_by_its_title() -> None:
    index = dict(map(reversed, re.findall(r"^- \[(.*?)\]\((.*?)\)$", TEXTS[DOCS / "README.md"], re.MULTILINE)))
    pages = {str(page.relative_to(DOCS)): page for page in DOCS.rglob("*.md") if page != DOCS / "README.md"}
    assert index == {name: page.read_text().splitlines()[0].removeprefix("# ") for name, page in pages.items()}


def test_every_image_of_the_documents_is_shown_on_a_page() -> None:
    shown = {Path(name).name for text in TEXTS.values() for name in re.findall(r"!\[.*?\]\((.*?)\)", text)}
    assert {path.name for path in (DOCS / "images").iterdir()} == shown


def test_contributing_lists_the_packages_in_the_order_of_their_imports() -> None:
    contracts = (REPOSITORY / "pyproject.toml").read_text()
    layers = re.search(r'type = "layers"\nlayers = \[(.*?)\]', contracts, re.DOTALL)[1]
    table = re.findall(r"^\| `(\w+)` \|", TEXTS[REPOSITORY / "CONTRIBUTING.md"], re.MULTILINE)
    assert table == re.findall(r"\w+", layers)


def test_readme_is_short() -> None:
    assert len(README.read_bytes()) <= README_BYTES


@pytest.mark.parametrize("name", ["demo.sh", "run.sh"])
def test_the_two_commands_of_readme_exist(name: str) -> None:
    (path,) = re.findall(rf"bash (\S+/{re.escape(name)})", TEXTS[README])
    assert (REPOSITORY / path).is_file()
