#!/usr/bin/env python3
"""A stand-in for pcluster: the same commands and answers, but its cluster is that of the tests (cloud_account.py).

It refuses commands and options that pcluster does not have. Its resources are real ones of a moto server.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from pathlib import Path

import boto3
import yaml

MISSING = "Cluster '{name}' does not exist or belongs to an incompatible ParallelCluster major version."


def main() -> int:
    parser = argparse.ArgumentParser(prog="pcluster")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("create-cluster", "describe-cluster", "delete-cluster"):
        command = commands.add_parser(name)
        command.add_argument("-n", "--cluster-name", required=True)
        command.add_argument("-r", "--region", required=True)
        if name == "create-cluster":
            command.add_argument("-c", "--cluster-configuration", required=True)
    asked = parser.parse_args()
    folder = Path(os.environ["PCLUSTER_STATE"])
    with (folder / "commands").open("a") as log:
        log.write(f"{asked.command}\n")
    place = folder / f"{asked.cluster_name}.json"
    if asked.region not in ("eu-central-1", "us-east-1"):
        return refuse(f"Bad Request: invalid or unsupported region '{asked.region}'")
    if asked.command == "create-cluster":
        return create(asked, place)
    if not place.exists():
        return refuse(MISSING.format(name=asked.cluster_name))
    state = json.loads(place.read_text())
    if asked.command == "delete-cluster":
        state["clusterStatus"] = "DELETE_IN_PROGRESS"
        write(place, state)
    print(json.dumps(state))
    return 0


def create(asked: argparse.Namespace, place: Path) -> int:
    if place.exists():
        return refuse(f"Cluster {asked.cluster_name} already exists.")
    configuration = yaml.safe_load(Path(asked.cluster_configuration).read_text())
    if (place.parent / "refuse").exists():
        print((place.parent / "refuse").read_text())
        return 1
    tags = [{"Key": one["Key"], "Value": one["Value"]} for one in configuration["Tags"]]
    make_resources(asked.region, tags)
    state = {"clusterName": asked.cluster_name, "region": asked.region, "clusterStatus": "CREATE_IN_PROGRESS"}
    write(place, {**state, "configuration": configuration})
    print(json.dumps({"cluster": state}))
    return 0


def make_resources(region: str, tags: list[dict[str, str]]) -> None:
    """Make what costs money: the head node, a disk, and a disk image of it that nothing deletes."""
    ec2 = boto3.client("ec2", region)
    kinds = [{"ResourceType": "instance", "Tags": tags}]
    ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=kinds)
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    kinds = [{"ResourceType": "volume", "Tags": tags}]
    volume = ec2.create_volume(Size=10, AvailabilityZone=zone, TagSpecifications=kinds)
    ec2.create_snapshot(VolumeId=volume["VolumeId"], TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    boto3.client("efs", region).create_file_system(CreationToken=str(uuid.uuid4()), Tags=tags)


def write(place: Path, state: dict[str, object]) -> None:
    part = place.with_suffix(".part")
    part.write_text(json.dumps(state))
    part.rename(place)


def refuse(message: str) -> int:
    print(json.dumps({"message": message}, indent=2))
    return 1


if __name__ == "__main__":
    sys.exit(main())
