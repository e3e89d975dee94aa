"""The configuration of a cluster: written by cloud init, and checked by ParallelCluster's own schema."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mpirender.cloud import configuration
from mpirender.errors import ToolMissing, UsageError
from processes import Run

INIT = ("--region", "eu-central-1", "--instances", "c7i.4xlarge=0.31,c7a.4xlarge=0.29", "--max-nodes", 8)
FILLED = (*INIT, "--subnet", "subnet-12345678", "--key", "me")


@pytest.fixture
def farm(run: Run, tmp_path: Path) -> Path:
    done = run("cloud", "init", "farm.yaml", *FILLED, "--budget", 50, "--mail", "me@example.org")
    assert (done.returncode, done.stdout) == (0, "farm.yaml is written; read it\n"), done.stderr
    return tmp_path / "farm.yaml"


def test_parallelcluster_accepts_what_init_writes(farm: Path) -> None:
    found = configuration.read(farm)
    assert (found.name, found.region, found.user, found.mount) == ("farm", "eu-central-1", "ubuntu", "/shared")
    assert (found.queue, found.max_nodes, found.max_hours, found.price) == ("spot", 8, 24.0, 0.31)
    assert (found.budget, found.mail) == (50.0, "me@example.org")


def test_parallelcluster_accepts_the_other_storage(run: Run, tmp_path: Path) -> None:
    assert run("cloud", "init", "farm.yaml", *FILLED, "--storage", "fsx").returncode == 0
    assert configuration.read(tmp_path / "farm.yaml").budget is None


def test_what_is_left_to_fill_in_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    done = run("cloud", "init", "farm.yaml", *INIT)
    assert "fill in every FILL-IN" in done.stdout
    done = run("cloud", "create", "farm.yaml")
    assert done.returncode == 2
    lines = (tmp_path / "farm.yaml").read_text().splitlines()
    named = [int(found) for found in re.findall(r"farm\.yaml:(\d+): FILL-IN", done.stderr)]
    assert [lines[number - 1].split(":")[0].strip() for number in named] == ["SubnetId", "KeyName", "- subnet-FILL-IN"]
    assert done.stderr.count("\n") == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MaxCount: 8", "MaxCont: 8",
         "farm.yaml:{line}: Scheduling.SlurmQueues.ComputeResources.MaxCont: Unknown field."),
        ("CapacityType: SPOT", "CapacityType: SPOTS",
         "farm.yaml:{line}: Scheduling.SlurmQueues.CapacityType: Must be one of: CAPACITY_BLOCK, ONDEMAND, SPOT."),
        ("Os: ubuntu2404", "Os: ubuntu", "farm.yaml:{line}: Image.Os: Must be one of"),
        ("Region: eu-central-1", "Region eu-central-1", "farm.yaml:{next}: mapping values are not allowed here"),
        ("Key: mpirender:max-hours", "Key: mpirender:hours",
         "farm.yaml:{tags}: Tags needs the key mpirender:max-hours"),
        ("Value: farm", "Value: other", "farm.yaml:{tags}: Tags needs the key mpirender with the value farm"),
        ("0.29", "cheap", "farm.yaml:{tags}: mpirender:prices: 'c7i.4xlarge=0.31 c7a.4xlarge=cheap' is not a list"),
        ("50 me@", "me@", "farm.yaml:{tags}: mpirender:budget: 'me@example.org' is not dollars and an address"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(run: Run, farm: Path, old: str, new: str, message: str) -> None:
    text = farm.read_text()
    assert old in text
    farm.write_text(text.replace(old, new))
    done = run("cloud", "create", "farm.yaml")
    lines = text.splitlines()
    numbers = {"line": next(number for number, line in enumerate(lines, 1) if old in line)}
    numbers |= {"next": numbers["line"] + 2, "tags": lines.index("Tags:") + 1}
    assert done.returncode == 2
    assert message.format(**numbers) in done.stderr
    assert done.stderr.count("\n") == 1


def test_all_mistakes_are_named_at_once(run: Run, farm: Path) -> None:
    farm.write_text(farm.read_text().replace("MaxCount", "MaxCont").replace("MinCount", "LeastCount"))
    done = run("cloud", "create", "farm.yaml")
    assert done.stderr.count("Unknown field") == 2


def test_a_cluster_without_shared_storage_is_refused(farm: Path) -> None:
    text = farm.read_text()
    farm.write_text(text[: text.index("SharedStorage:")] + text[text.index("Monitoring:") :])
    with pytest.raises(UsageError, match="SharedStorage of the type Efs or FsxLustre is needed"):
        configuration.read(farm)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1farm.yaml", *FILLED), "the cluster is named like the file, '1farm': give that at most 60 letters"),
        (("farm.txt", *FILLED), "farm.txt: name it farm.yaml"),
        (("farm.yaml", *FILLED, "--instances", "c7i.4xlarge,c7i.8xlarge"), "must all have the same number of cores"),
        (("farm.yaml", *FILLED, "--instances", "large"), "'large' is not a type of instance; write c7i.4xlarge"),
        (("farm.yaml", *FILLED, "--instances", "c7i.large=free"), "the price is dollars per hour, such as 0.31"),
        (("farm.yaml", *FILLED, "--instances", ","), "--instances names no type"),
        (("farm.yaml", *FILLED, "--budget", "5"), "--budget and --mail belong together"),
    ],
)
def test_wrong_values_for_init_get_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("cloud", "init", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_does_not_overwrite(run: Run, farm: Path) -> None:
    before = farm.read_text()
    done = run("cloud", "init", "farm.yaml", *INIT)
    assert (done.returncode, done.stderr) == (
        2,
        "mpirender: error: farm.yaml: exists; edit it, or choose another name\n",
    )
    assert farm.read_text() == before


def test_a_missing_parallelcluster_is_named_with_its_fix(
    farm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden" / "pcluster").mkdir(parents=True)
    (tmp_path / "hidden" / "pcluster" / "__init__.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hidden'}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(ToolMissing, match=re.escape("pip install 'mpirender[cloud]'")):
        configuration.read(farm)


def test_missing_programs_are_named_with_their_fixes(run: Run, farm: Path) -> None:
    done = run("cloud", "create", "farm.yaml", env={**os.environ, "PATH": "/nowhere"})
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"mpirender: error: {name} is not found; install it with: apt-get install {package}"
        for name, package in (("ssh", "openssh-client"), ("rsync", "rsync"))
    ]


def test_help_needs_no_library_of_the_cloud() -> None:
    code = "import sys; sys.modules.update(yaml=None, boto3=None, pcluster=None); import mpirender.cli.commands"
    subprocess.run([sys.executable, "-c", code], check=True)
