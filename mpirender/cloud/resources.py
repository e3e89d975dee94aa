"""What costs money: every resource with the tag of mpirender, and what deletes one that a cluster has left behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mpirender.cloud.configuration import INSTALL, TAG, Farm
from mpirender.errors import LaunchFailed, ToolMissing, one_line

DELETE_SECONDS = 300.0  # for what must end before the rest can be deleted
LOOK_SECONDS = 5.0
ENDED = ("shutting-down", "terminated", "deleting", "deleted")


class Resource(NamedTuple):
    """Something that costs money, or holds what does."""

    arn: str
    cluster: str
    region: str

    @property
    def kind(self) -> str:
        """What it is: ``ec2 instance``."""
        _, _, service, _, _, rest = self.arn.split(":", 5)
        return f"{service} {rest.replace(':', '/').partition('/')[0]}" if "/" in rest else service

    @property
    def id(self) -> str:
        """Its name in its service."""
        return self.arn.split(":", 5)[5].partition("/")[2].partition("/")[0] or self.arn.rpartition(":")[2]


def client(service: str, region: str) -> Any:  # noqa: ANN401 - of a library without types
    """Return the client of a service of Amazon.

    :raises ToolMissing: its library is not installed.
    """
    try:
        import boto3
    except ImportError:
        raise ToolMissing(f"boto3 is missing in the Python of mpirender; {INSTALL}") from None
    return boto3.client(service, region_name=region)


@contextlib.contextmanager
def told_in_one_line(region: str) -> Iterator[None]:
    """Turn errors of Amazon's library into ours.

    :raises LaunchFailed: with the reason.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LaunchFailed(f"Amazon in {region}: {one_line(str(error))}") from None


def regions(home: str = "us-east-1") -> list[str]:
    """Return the regions that the account can use.

    :raises LaunchFailed: they cannot be asked for.
    """
    ec2 = client("ec2", home)
    with told_in_one_line(home):
        return sorted(one["RegionName"] for one in ec2.describe_regions()["Regions"])


def found(region: str, cluster: str = "") -> list[Resource]:
    """Return the resources in a region with the tag of mpirender, of one cluster or of all; without ended ones.

    :raises LaunchFailed: they cannot be asked for.
    """
    tagging = client("resourcegroupstaggingapi", region)
    wanted = {"Key": TAG, **({"Values": [cluster]} if cluster else {})}
    found = []
    with told_in_one_line(region):
        for page in tagging.get_paginator("get_resources").paginate(TagFilters=[wanted]):
            for one in page["ResourceTagMappingList"]:
                tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
                found.append(Resource(one["ResourceARN"], tags[TAG], region))
        ended = _ended_instances(region, [one.id for one in found if one.kind == "ec2 instance"])
    return [one for one in found if one.id not in ended]


def delete_left(farm: Farm, show: Callable[[str], object]) -> list[Resource]:
    """Delete what is left of a cluster that ParallelCluster has deleted; return what could not be.

    :raises LaunchFailed: Amazon refuses it.
    """
    deadline = time.monotonic() + DELETE_SECONDS
    while left := found(farm.region, farm.name):
        for one in left:
            if (deletes := DELETES.get(one.kind)) is not None:
                show(f"deleting what was left: {one.kind} {one.id}")
                with told_in_one_line(farm.region), _still_in_use():
                    deletes(farm.region, one.id)
        if time.monotonic() > deadline or not any(one.kind in DELETES for one in left):
            return left
        time.sleep(LOOK_SECONDS)
    return []


def make_budget(farm: Farm) -> None:
    """Let Amazon write to an address when the account has cost so much this month; again is no error."""
    budgets, account = client("budgets", farm.region), _account(farm.region)
    named = f"{TAG}-{farm.name}"
    limit = {"Amount": f"{farm.budget:g}", "Unit": "USD"}
    alarm = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
    who = [{"SubscriptionType": "EMAIL", "Address": farm.mail}]
    with told_in_one_line(farm.region):
        try:
            budgets.create_budget(
                AccountId=account,
                Budget={"BudgetName": named, "BudgetLimit": limit, "TimeUnit": "MONTHLY", "BudgetType": "COST"},
                NotificationsWithSubscribers=[{"Notification": alarm, "Subscribers": who}],
            )
        except budgets.exceptions.DuplicateRecordException:
            return


def delete_budget(farm: Farm) -> None:
    """Delete the budget of a cluster, if there is one."""
    budgets, account = client("budgets", farm.region), _account(farm.region)
    with told_in_one_line(farm.region), contextlib.suppress(budgets.exceptions.NotFoundException):
        budgets.delete_budget(AccountId=account, BudgetName=f"{TAG}-{farm.name}")


def _account(region: str) -> str:
    with told_in_one_line(region):
        return str(client("sts", region).get_caller_identity()["Account"])


def _ended_instances(region: str, ids: Sequence[str]) -> set[str]:
    """Return which instances are gone: Amazon names them for an hour."""
    if not ids:
        return set()
    chosen = [{"Name": "instance-id", "Values": list(ids)}]
    pages = client("ec2", region).get_paginator("describe_instances").paginate(Filters=chosen)
    there = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    living = {one["InstanceId"] for one in there if one["State"]["Name"] not in ENDED}
    return set(ids) - living


@contextlib.contextmanager
def _still_in_use() -> Iterator[None]:
    """Ignore that something cannot be deleted yet, or is gone already."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if not any(word in code for word in ("InUse", "NotFound", "IncorrectState", "DependencyViolation")):
            raise


def _delete_efs(region: str, number: str) -> None:
    efs = client("efs", region)
    for target in efs.describe_mount_targets(FileSystemId=number)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    efs.delete_file_system(FileSystemId=number)


DELETES: dict[str, Callable[[str, str], object]] = {
    "ec2 instance": lambda region, number: client("ec2", region).terminate_instances(InstanceIds=[number]),
    "ec2 volume": lambda region, number: client("ec2", region).delete_volume(VolumeId=number),
    "ec2 snapshot": lambda region, number: client("ec2", region).delete_snapshot(SnapshotId=number),
    "ec2 security-group": lambda region, number: client("ec2", region).delete_security_group(GroupId=number),
    "ec2 launch-template": lambda region, number: client("ec2", region).delete_launch_template(LaunchTemplateId=number),
    "elasticfilesystem file-system": _delete_efs,
    "fsx file-system": lambda region, number: client("fsx", region).delete_file_system(FileSystemId=number),
}
