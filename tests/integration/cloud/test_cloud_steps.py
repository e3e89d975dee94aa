"""The steps of cloud render one by one: a ParaView state with its data, and a run that ends at its price limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

import movies
from amazon import amazon
from cloud_account import CloudAccount
from images import pixels
from processes import Pattern, Run
from waiting import wait_for

pytestmark = pytest.mark.slow


def test_a_state_and_its_data_are_rendered_there_as_here(
    account: CloudAccount, scenes: SimpleNamespace, pattern: Pattern, run: Run, tmp_path: Path
) -> None:
    """A second job ends at its price limit, and what it has done is not lost by mistake."""
    state, size = scenes.state("series"), ("--size", "160x90")
    pattern('{"frames": 400, "seconds": 2}', "dear film.pattern")
    there = ("--ssh", account.ssh)
    assert run("cloud", "status", "farm.yaml", *there).stderr.startswith("mpirender: error: there is no cluster farm; ")
    assert run("cloud", "create", "farm.yaml", *there).returncode == 0
    early = run("cloud", "submit", "farm.yaml", state, *there)
    assert "the scene series was not copied to the cluster yet" in early.stderr
    assert run("cloud", "upload", "farm.yaml", state, *there).returncode == 0
    again = run("cloud", "upload", "farm.yaml", state, *there)
    assert "copying series.pvsm and 6 files" in again.stdout
    assert run("cloud", "upload", "farm.yaml", "dear film.pattern", *there).returncode == 0
    submitted = run("cloud", "submit", "farm.yaml", state, *size, *there)
    assert submitted.returncode == 0, submitted.stderr
    assert (
        run("cloud", "submit", "farm.yaml", state, *size, *there).stdout.splitlines()[-1]
        == submitted.stdout.splitlines()[-1]
    )
    other = run("cloud", "submit", "farm.yaml", state, "--size", "80x50", *there)
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "Slurm job 1 renders series with an earlier scene, data or options; wait for its end" in other.stderr
    limited = run("cloud", "submit", "farm.yaml", "dear film.pattern", *size, "--price-limit", 0.005, *there)
    assert limited.returncode == 0, limited.stderr

    def ended() -> bool:
        return run("cloud", "status", "farm.yaml", *there).stdout.count("not in the queue") == 2

    wait_for(ended, 240)
    shown = run("cloud", "status", "farm.yaml", *there).stdout
    assert "finished  series.pvsm" in shown
    assert "$0.0" in shown
    refused = run("cloud", "delete", "farm.yaml", *there)
    assert (refused.returncode, "not fetched yet: dear_film (" in refused.stderr) == (2, True), refused.stderr
    in_the_way = tmp_path / "mine" / "160x90" / "frame_000001.png"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine")
    into_mine = run("cloud", "fetch", "farm.yaml", "--job", "series", "--output", "mine", *there)
    assert (into_mine.returncode, in_the_way.read_text()) == (2, "mine")
    assert f"{in_the_way}: is in the way, and does not come from the cluster; move it away" in into_mine.stderr
    fetched = run("cloud", "fetch", "farm.yaml", *there)
    assert fetched.returncode == 4, fetched.stdout + fetched.stderr
    damaged = tmp_path / "series_renders" / "160x90" / "frame_000001.png"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert run("cloud", "fetch", "farm.yaml", "--job", "series", *there).returncode == 0
    assert run("render", state, *size, "--output", "here", "--ranks", 2).returncode == 0
    frames = sorted((tmp_path / "here" / "160x90").glob("*.png"))
    assert frames
    for frame in frames:
        assert (pixels(tmp_path / "series_renders" / "160x90" / frame.name) == pixels(frame)).all()
    assert movies.read_back(tmp_path / "series_renders" / "series_160x90.mp4").frames == len(frames)
    kept = json.loads(run("status", "dear_film_renders", "--json").stdout)
    assert kept["code"] == 7
    assert len(list((tmp_path / "dear_film_renders" / "160x90").glob("*.png"))) == kept["done"] > 0
    wrong = run("cloud", "submit", "farm.yaml", state, "--nodes", "many", *there)
    assert (wrong.returncode, wrong.stderr.count("\n"), "--nodes many: write" in wrong.stderr) == (2, 1, True)
    assert run("cloud", "delete", "farm.yaml", *there).returncode == 0
    assert run("cloud", "list", "--region", "eu-central-1").stdout == "nothing of mpirender costs money\n"


def test_a_folder_with_other_images_is_not_fetched_into(
    account: CloudAccount, rendered: Path, run: Run, tmp_path: Path
) -> None:
    """The default folder holds a run of this machine; nothing in it changes."""
    before = {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()}
    done = run("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--ssh", account.ssh)
    assert done.returncode == 2
    assert f"{rendered}: holds images that were rendered here; choose another folder with --output" in done.stderr
    assert {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()} == before
    assert account.commands() == []


def test_the_real_pcluster_accepts_the_configuration_as_far_as_the_simulation_can_tell(tmp_path: Path) -> None:
    """Its dry run asks Amazon; the simulation has no image of ParallelCluster, which is the first thing that it needs.

    A subnet that does not exist is found before, so the configuration was read, and Amazon was asked.
    """
    with amazon() as variables:
        environment = {**os.environ, **variables}
        given = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests", "region_name": "eu-central-1"}
        ec2 = boto3.client("ec2", endpoint_url=variables["AWS_ENDPOINT_URL"], **given)
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        ec2.create_key_pair(KeyName="me")
        for chosen, message in (
            (subnet, "Cannot find official ParallelCluster AMI"),
            ("subnet-12345678", "The subnet ID 'subnet-12345678' does not exist"),
        ):
            words = ["--region", "eu-central-1", "--instances", "c7i.4xlarge", "--subnet", chosen, "--key", "me"]
            init = [sys.executable, "-m", "mpirender", "cloud", "init", f"{chosen}.yaml", *words]
            subprocess.run(init, cwd=tmp_path, check=True)
            ask = ["create-cluster", "-n", "farm", "-r", "eu-central-1", "-c", f"{chosen}.yaml", "--dryrun", "true"]
            program = Path(sys.executable).with_name("pcluster")
            done = subprocess.run(
                [program, *ask], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert message in done.stdout, done.stdout + done.stderr
