"""What costs money is found by its tag, and deleted: with Amazon's library, against a moto server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from amazon import REGION
from amazon import amazon as simulation
from mpirender.cloud import resources
from mpirender.cloud.configuration import Farm
from mpirender.errors import LaunchFailed
from pcluster_stub import make_resources
from processes import Run

FARM = Farm(
    Path("farm.yaml"), "farm", REGION, "ubuntu", "/shared", "spot", 8, 24, {}, 0.3, budget=50.0, mail="me@example.org"
)
KINDS = ["ec2 instance", "ec2 snapshot", "ec2 volume", "elasticfilesystem file-system"]


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with simulation() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials of other tests
        yield


def tags(cluster: str) -> list[dict[str, str]]:
    return [{"Key": "mpirender", "Value": cluster}]


@pytest.mark.slow
def test_everything_with_the_tag_is_listed_and_deleted_and_nothing_else(amazon: None, run: Run) -> None:
    make_resources(REGION, tags("farm"))
    make_resources(REGION, tags("other"))
    make_resources("us-east-1", tags("farm"))
    make_resources(REGION, [{"Key": "owner", "Value": "somebody"}])
    assert sorted(one.kind for one in resources.found(REGION, "farm")) == KINDS
    listed = run("cloud", "list").stdout.splitlines()
    assert sorted(line.split("  ")[:3] for line in listed) == sorted(
        [name, region, kind]
        for name, region in (("farm", REGION), ("farm", "us-east-1"), ("other", REGION))
        for kind in KINDS
    )
    shown: list[str] = []
    assert resources.delete_left(FARM, shown.append) == []
    assert len(shown) == len(KINDS)
    assert resources.found(REGION, "farm") == []
    assert len(resources.found(REGION)) == len(resources.found("us-east-1")) == len(KINDS)
    living = [{"Name": "instance-state-name", "Values": ["running"]}]
    groups = boto3.client("ec2", REGION).describe_instances(Filters=living)["Reservations"]
    assert sum(len(group["Instances"]) for group in groups) == 2  # of the other cluster, and of somebody


def test_a_budget_is_made_once_and_deleted(amazon: None) -> None:
    resources.make_budget(FARM)
    resources.make_budget(FARM)
    budgets, account = boto3.client("budgets", REGION), "123456789012"
    (budget,) = budgets.describe_budgets(AccountId=account)["Budgets"]
    assert (budget["BudgetName"], float(budget["BudgetLimit"]["Amount"])) == ("mpirender-farm", 50)
    resources.delete_budget(FARM)
    resources.delete_budget(FARM)
    assert budgets.describe_budgets(AccountId=account).get("Budgets", []) == []


def test_without_an_answer_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(LaunchFailed, match=r"Amazon in eu-central-1: Could not connect to the endpoint URL"):
        resources.found(REGION)


def test_without_credentials_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials of other tests
    with pytest.raises(LaunchFailed, match="Unable to locate credentials"):
        resources.found(REGION)
