"""Checks a configuration with ParallelCluster's own schema, in a process of its own, since it is configured globally.

    python -m mpirender.cloud.schema NAME <farm.yaml

prints a JSON list of paths in the file and what is wrong there. It needs no network and no account.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from mpirender.errors import ToolMissing, one_line


def main(name: str, text: str) -> int:
    """Print what is wrong with a configuration of a cluster of this name; return the exit code."""
    try:
        import yaml
        from marshmallow import ValidationError
        from pcluster.schemas.cluster_schema import ClusterSchema
    except ImportError:
        return ToolMissing.exit_code
    tree = yaml.safe_load(text)
    os.environ["AWS_DEFAULT_REGION"] = str(tree.get("Region") or "us-east-1")  # which the schema reads
    found: list[tuple[list[str | int], str]] = []
    try:
        ClusterSchema(cluster_name=name).load(tree)
    except ValidationError as error:
        found += mistakes(error.messages, [])
    except Exception as error:  # the schema raises whatever its parts raise
        found.append(([], one_line(str(error))))
    print(json.dumps(found))  # noqa: T201 - read by the process that started this one
    return 0


def mistakes(messages: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:  # noqa: ANN401
    """Yield each mistake with its path, of the nested messages of the schema."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from mistakes(inner, path if key == "_schema" else [*path, key])
    elif isinstance(messages, list):
        for inner in messages:
            yield from mistakes(inner, path)
    else:
        yield path, one_line(str(messages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.stdin.read()))
