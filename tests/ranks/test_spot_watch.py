"""What the watcher of a node records of the announcements of a cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from metadata_server import metadata_server, notice
from mpirender.ranks import spot_watch
from mpirender.ranks.spot_watch import SILENT_LOOKS, SpotWatch
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import SUPERVISOR
from mpirender.run_folder.journal import Journal
from mpirender.system import instance_metadata

NAME = "node-n1.jsonl"


def test_each_announcement_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_server(tmp_path) as address, Journal(tmp_path, None, "n1", name=NAME) as log:
        monkeypatch.setenv(instance_metadata.ENDPOINT, address)
        watcher = SpotWatch(log, "r1")
        for text in ("", "rebalance", "", "instance-action"):
            if text:
                (tmp_path / f"127.0.0.1.{text}").write_text(notice(120))
            assert not watcher.done
            watcher.look()
        assert watcher.done
    first, second = journal.read(tmp_path, NAME)
    assert isinstance(first, events.Notice)
    assert isinstance(second, events.Notice)
    assert (first.at, first.action, first.host, first.rank) == (0.0, "rebalance", "n1", SUPERVISOR)
    assert (second.run, second.action, second.at > second.time + 100) == ("r1", "terminate", True)


def test_a_service_that_does_not_respond_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(instance_metadata.ENDPOINT, "http://127.0.0.1:1")
    with Journal(tmp_path, None, "n1", name=NAME) as log:
        watcher = SpotWatch(log, "r1")
        for _ in range(3 * SILENT_LOOKS):
            watcher.look()
    (warning,) = journal.read(tmp_path, NAME)
    assert isinstance(warning, events.Warning)
    assert warning.text.startswith("the notices of the cloud cannot be read: ")
    assert warning.text.endswith(" (--spot-notices off)")


@pytest.mark.parametrize(
    ("how", "on_ec2", "disabled", "watches"),
    [
        ("auto", True, "", True), ("auto", True, "true", False), ("auto", False, "", False),
        ("on", False, "true", True), ("off", True, "", False),
    ],
)  # fmt: skip
def test_a_node_is_watched_on_ec2_or_where_asked(
    monkeypatch: pytest.MonkeyPatch, how: str, on_ec2: bool, disabled: str, watches: bool
) -> None:
    monkeypatch.setattr(instance_metadata, "on_ec2", lambda: on_ec2)
    monkeypatch.setenv(instance_metadata.DISABLED, disabled)
    assert spot_watch.wanted(how) is watches
