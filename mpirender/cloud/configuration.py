"""The configuration of a cluster: a file of ParallelCluster, with the settings of mpirender in its tags."""

from __future__ import annotations

import json
import re
import string
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpirender.errors import ToolMissing, UsageError, one_line
from mpirender.system import child_process, files

PACKAGE = Path(__file__).resolve().parents[1]
TEMPLATE = "cloud.yaml"
TAG = "mpirender"
HOURS_TAG, PRICES_TAG, BUDGET_TAG = f"{TAG}:max-hours", f"{TAG}:prices", f"{TAG}:budget"
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,59}")  # that ParallelCluster accepts for a cluster
NAME_RULE = "give that at most 60 letters, digits and hyphens, and a letter first"
INSTANCE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
TO_FILL_IN = "FILL-IN"
USERS = {"ubuntu": "ubuntu", "alinux": "ec2-user", "rhel": "ec2-user", "rocky": "rocky"}  # by beginning of the system
INSTALL = "install it with: pip install 'mpirender[cloud]'"
STORAGE = {
    "efs": "- Name: shared\n    MountDir: /shared\n    StorageType: Efs\n    EfsSettings:\n      Encrypted: true\n"
    "      DeletionPolicy: Delete",
    "fsx": "- Name: shared\n    MountDir: /shared\n    StorageType: FsxLustre\n    FsxLustreSettings:\n"
    "      StorageCapacity: 1200\n      DeploymentType: SCRATCH_2\n      DeletionPolicy: Delete",
}
STORAGE_PRICES = {"Efs": 0.30, "FsxLustre": 0.14}  # dollars a month for a GB, about: Amazon's list prices
SCHEMA_SECONDS = 120.0


@dataclass(frozen=True)
class Farm:
    """What mpirender needs to know of a cluster; the rest is between its file and ParallelCluster."""

    file: Path
    name: str  # of the cluster: the file's name without suffix
    region: str
    user: str  # for ssh
    mount: str  # folder that all nodes share
    queue: str  # of spot nodes, if there is one
    max_nodes: int
    max_hours: float
    prices: Mapping[str, float]  # dollars per hour, by type of instance
    storage_price: float  # dollars a month for a GB
    storage_size: float = 0.0  # GB that are paid for, used or not; 0 if only what is stored is
    budget: float | None = None  # dollars a month after which ``mail`` is written to
    mail: str = ""

    @property
    def price(self) -> float | None:
        """The price of a node in dollars per hour: the highest of those given."""
        return max(self.prices.values(), default=None)


def template(
    name: str, region: str, instances: Mapping[str, float | None], *, max_nodes: int, head: str, storage: str,
    max_hours: float, subnet: str = "", key: str = "", budget: float | None = None, mail: str = "",
) -> str:  # fmt: skip
    """Return a configuration of spot nodes.

    :param instances: dollars per hour by type of instance, None where no price is given.
    :param storage: one of :data:`STORAGE`.
    :raises UsageError: with every mistake in the values.
    """
    if mistakes := list(_wrong_values(name, instances, budget, mail)):
        raise UsageError(mistakes)
    known = [f"{one}={price:g}" for one, price in instances.items() if price is not None]
    prices = f'  # Dollars per hour.\n  - Key: {PRICES_TAG}\n    Value: "{" ".join(known)}"\n' if known else ""
    alarm = f'  # Dollars a month, and who gets mail.\n  - Key: {BUDGET_TAG}\n    Value: "{budget or 0:g} {mail}"\n'
    own, packaged = PACKAGE.parent / "launch" / TEMPLATE, PACKAGE / TEMPLATE
    text = (packaged if packaged.exists() else own).read_text()
    return string.Template(text).substitute(
        name=name, region=region, max_nodes=max_nodes, max_hours=f"{max_hours:g}", head=head, prices=prices,
        subnet=subnet or f"subnet-{TO_FILL_IN}", key=key or TO_FILL_IN, budget=alarm if budget is not None else "",
        instances="\n".join(f"            - InstanceType: {one}" for one in instances),
        storage=f"  {STORAGE[storage]}",
    ).rstrip() + "\n"  # fmt: skip


def instances_of(text: str) -> dict[str, float | None]:
    """Return the types of instances of a text such as ``c7i.4xlarge=0.31,c7a.4xlarge``, with their prices.

    :raises UsageError: it names none, or one is wrong.
    """
    found: dict[str, float | None] = {}
    for word in filter(None, text.split(",")):
        kind, _, price = word.strip().partition("=")
        if not INSTANCE.fullmatch(kind):
            raise UsageError(f"--instances: {word!r} is not a type of instance; write c7i.4xlarge or c7i.4xlarge=0.31")
        found[kind] = _price(price, word) if price else None
    if not found:
        raise UsageError("--instances names no type; write for example c7i.4xlarge,c7a.4xlarge")
    return found


def read(file: Path) -> Farm:
    """Return the cluster of a configuration that ParallelCluster accepts.

    :raises UsageError: with every mistake, each with the line of the file.
    :raises ToolMissing: ParallelCluster is not installed.
    """
    text = text_of(file)
    tree, lines = parsed(file, text)
    mistakes = [] if NAME.fullmatch(file.stem) else [f"{file}: the cluster is named like the file, so {NAME_RULE}"]
    mistakes += [
        f"{file}{_line(lines, path)}: {'.'.join(map(str, _named(path)))}: {reason}"
        for path, reason in schema_mistakes(file, text)
        if TO_FILL_IN not in str(value_at(tree, path))
    ]
    unfilled = [number for number, line in enumerate(text.splitlines(), 1) if TO_FILL_IN in line.partition("#")[0]]
    mistakes += [
        f"{file}:{number}: {TO_FILL_IN} stands for a value of your account; see the comment" for number in unfilled
    ]
    if mistakes:
        raise UsageError(mistakes)
    return farm_of(file, tree, lines)


def text_of(file: Path) -> str:
    """Return the text of a configuration.

    :raises UsageError: it cannot be read.
    """
    try:
        return file.read_text()
    except FileNotFoundError:
        raise UsageError(f"{file}: no such file; make it with: mpirender cloud init {file} --region …") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})") from None


def parsed(file: Path, text: str) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """Return what a configuration contains, and the line of each of its parts, counted from 1, by path.

    :raises UsageError: it is no YAML, with the line.
    :raises ToolMissing: the library that reads YAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ToolMissing(f"ParallelCluster is missing in the Python of mpirender; {INSTALL}") from None
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{file}{where}: {getattr(error, 'problem', None) or one_line(str(error))}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{file}: is no configuration of ParallelCluster; make one with mpirender cloud init")
    return tree, dict(_lines(root, ()))


def schema_mistakes(file: Path, text: str) -> list[tuple[tuple[str | int, ...], str]]:
    """Return what ParallelCluster's schema finds wrong, each with its path in the file; needs no network.

    :raises ToolMissing: ParallelCluster is not installed.
    :raises UsageError: the schema fails otherwise.
    """
    name = file.stem if NAME.fullmatch(file.stem) else "farm"
    command = [sys.executable, "-m", "mpirender.cloud.schema", name]
    done = child_process.run(command, given=text.encode(), timeout=SCHEMA_SECONDS)
    if done.code == ToolMissing.exit_code:
        raise ToolMissing(f"ParallelCluster is missing in the Python of mpirender; {INSTALL}")
    if done.code:
        last = (done.errors.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"{file}: ParallelCluster cannot read it ({last})")
    return [(tuple(path), reason) for path, reason in json.loads(done.output)]


def value_at(tree: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401
    """Return the value at a path of a configuration, None if there is none."""
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def farm_of(file: Path, tree: Mapping[str, Any], lines: Mapping[tuple[str | int, ...], int]) -> Farm:
    """Return the cluster of a configuration that keeps to the schema.

    :raises UsageError: mpirender cannot use such a cluster, with the line.
    """
    mistakes: list[str] = []

    def wrong(reason: str, *path: str | int) -> None:
        mistakes.append(f"{file}{_line(lines, path)}: {reason}")

    tags = {one.get("Key"): str(one.get("Value")) for one in tree.get("Tags") or ()}
    if tags.get(TAG) != file.stem:
        wrong(
            f"Tags needs the key {TAG} with the value {file.stem}, by which mpirender cloud list finds what costs",
            "Tags",
        )
    queues = tree["Scheduling"].get("SlurmQueues") or [{}]
    queue = next((one for one in queues if one.get("CapacityType") == "SPOT"), queues[0])
    if tree["Scheduling"].get("Scheduler") != "slurm":
        wrong("Scheduler must be slurm", "Scheduling", "Scheduler")
    storage = [one for one in tree.get("SharedStorage") or () if one.get("StorageType") in STORAGE_PRICES]
    if not storage:
        wrong("SharedStorage of the type Efs or FsxLustre is needed, for the scene and the frames", "SharedStorage")
    counts = [int(one.get("MaxCount", 10)) for one in queue.get("ComputeResources", ())]
    hours, prices, budget, mail = 0.0, {}, None, ""
    try:
        hours, prices = _hours(tags), _prices(tags.get(PRICES_TAG, ""))
        budget, mail = _budget(tags.get(BUDGET_TAG, ""))
    except ValueError as error:
        wrong(str(error), "Tags")
    if mistakes:
        raise UsageError(mistakes)
    system = tree["Image"]["Os"]
    return Farm(
        file, file.stem, tree["Region"], next(user for start, user in USERS.items() if system.startswith(start)),
        storage[0]["MountDir"], queue["Name"], sum(counts), hours, prices, STORAGE_PRICES[storage[0]["StorageType"]],
        float(storage[0].get("FsxLustreSettings", {}).get("StorageCapacity", 0)), budget, mail,
    )  # fmt: skip


def write(file: Path, text: str) -> None:
    """Write a new configuration.

    :raises UsageError: there is one of that name, or it cannot be written.
    """
    if file.exists():
        raise UsageError(f"{file}: exists; edit it, or choose another name")
    try:
        files.write_text(file, text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})") from None


def _wrong_values(name: str, instances: Mapping[str, float | None], budget: float | None, mail: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield f"the cluster is named like the file, {name!r}: {NAME_RULE}"
    sizes = {one.partition(".")[2] for one in instances}
    if len(sizes) > 1:
        yield f"--instances must all have the same number of cores: {', '.join(instances)}"
    if (budget is None) != (not mail):
        yield "--budget and --mail belong together: who gets mail when the budget is spent"


def _lines(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:  # noqa: ANN401
    """Yield the path of each key and item, with its line."""
    if hasattr(node, "value") and isinstance(node.value, list):
        for number, item in enumerate(node.value):
            key, value = item if isinstance(item, tuple) else (item, item)
            place = (*path, key.value if isinstance(item, tuple) else number)
            yield place, key.start_mark.line + 1
            yield from _lines(value, place)


def _line(lines: Mapping[tuple[str | int, ...], int], path: Sequence[str | int]) -> str:
    """Return ``:LINE`` of a part of the file, or of the nearest part that contains it; empty for the whole."""
    parts = (tuple(path[:length]) for length in range(len(path), 0, -1))
    return next((f":{lines[part]}" for part in parts if part in lines), "")


def _named(path: Iterable[str | int]) -> list[str]:
    """Return the path without the numbers of items."""
    return [part for part in path if isinstance(part, str)] or ["the file"]


def _price(text: str, word: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1
    if not 0 < price < 10_000:
        raise UsageError(f"--instances: {word!r}: the price is dollars per hour, such as 0.31")
    return price


def _hours(tags: Mapping[str, str]) -> float:
    text = tags.get(HOURS_TAG, "")
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise ValueError(
            f"Tags needs the key {HOURS_TAG} with a number of hours, after which the head node stops itself"
        )
    return float(text)


def _prices(text: str) -> dict[str, float]:
    found = re.findall(r"(\S+)=(\d+(?:\.\d+)?)", text)
    if len(found) != len(text.split()):
        raise ValueError(f"{PRICES_TAG}: {text!r} is not a list such as c7i.4xlarge=0.31 c7a.4xlarge=0.29")
    return {kind: float(price) for kind, price in found}


def _budget(text: str) -> tuple[float | None, str]:
    if not text:
        return None, ""
    amount, _, mail = text.partition(" ")
    if not re.fullmatch(r"\d+(\.\d+)?", amount) or "@" not in mail:
        raise ValueError(f'{BUDGET_TAG}: {text!r} is not dollars and an address, such as "50 me@example.org"')
    return float(amount), mail
