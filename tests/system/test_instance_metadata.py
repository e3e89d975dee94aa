"""Ask a real server like Amazon's what it announces about this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metadata_server import metadata_server, notice
from mpirender.system import instance_metadata
from mpirender.system.instance_metadata import InstanceMetadata, on_ec2


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstanceMetadata]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be used
    with metadata_server(tmp_path) as address:
        monkeypatch.setenv(instance_metadata.ENDPOINT, address)
        yield InstanceMetadata()


def announce(folder: Path, what: str, text: str) -> None:
    (folder / f"127.0.0.1.{what}").write_text(text)


def test_nothing_is_announced_at_first(service: InstanceMetadata) -> None:
    assert (service.interruption(), service.rebalance()) == (None, False)


def test_an_interruption_has_a_time_and_an_action(service: InstanceMetadata, tmp_path: Path) -> None:
    announce(tmp_path, "instance-action", notice(120, "stop"))
    found = service.interruption()
    assert found.action == "stop"
    assert found.at == pytest.approx(time.time() + 120, abs=2)
    announce(tmp_path, "rebalance", '{"noticeTime": "2026-11-05T08:22:00Z"}')
    assert service.rebalance()


def test_an_expired_token_is_replaced(service: InstanceMetadata) -> None:
    service._token = "an old one"
    assert service.interruption() is None


@pytest.mark.parametrize("text", ["", "[]", '{"action": "terminate"}', '{"action": "stop", "time": "soon"}'])
def test_a_strange_answer_is_an_error(service: InstanceMetadata, tmp_path: Path, text: str) -> None:
    announce(tmp_path, "instance-action", text)
    with pytest.raises(ValueError):
        service.interruption()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://127.0.0.1:port", "nowhere"])
def test_a_service_that_does_not_respond_is_an_os_error(address: str) -> None:
    with pytest.raises(OSError):
        InstanceMetadata(address).interruption()


@pytest.mark.parametrize(
    ("file", "text", "is_ec2"),
    [
        ("class/dmi/id/sys_vendor", "Amazon EC2\n", True), ("hypervisor/uuid", "ec2e1916-9099\n", True),
        ("class/dmi/id/sys_vendor", "QEMU\n", False), ("other", "", False),
    ],
)  # fmt: skip
def test_a_machine_of_the_cloud_is_recognized_by_its_files(tmp_path: Path, file: str, text: str, is_ec2: bool) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert on_ec2(tmp_path) is is_ec2
