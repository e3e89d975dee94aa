"""The instance metadata service of Amazon EC2, version 2: what a machine of this cloud can learn about itself.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
"""

from __future__ import annotations

import calendar
import json
import os
import time
from pathlib import Path
from typing import NamedTuple, Optional

ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # as for the tools of Amazon
DISABLED = "AWS_EC2_METADATA_DISABLED"
ADDRESS = "http://169.254.169.254"
ANSWER_SECONDS = 2.0  # the service is on the same machine
TOKEN_SECONDS = 21600  # the longest that a token may be valid
LARGEST = 65536  # bytes of an answer
INTERRUPTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
MARKS = {"class/dmi/id/sys_vendor": "Amazon EC2", "class/dmi/id/bios_vendor": "Amazon EC2", "hypervisor/uuid": "ec2"}


class Interruption(NamedTuple):
    """The machine is to be taken away."""

    action: str  # terminate, stop or hibernate
    at: float  # when, in seconds since the epoch


def on_ec2(root: Path = Path("/sys")) -> bool:
    """Return whether this machine is an instance of Amazon EC2, without asking the network."""
    for name, mark in MARKS.items():
        try:
            if (root / name).read_text(errors="replace").startswith(mark):
                return True
        except OSError:
            continue
    return False


class InstanceMetadata:
    """Asks the service; a proxy is not used."""

    def __init__(self, address: str = "") -> None:
        self.address = address or os.environ.get(ENDPOINT, "") or ADDRESS
        self._token = ""

    def interruption(self) -> Optional[Interruption]:  # noqa: UP045
        """Return when this spot instance is taken away, None if that is not announced.

        :raises OSError: the service does not respond.
        :raises ValueError: the answer cannot be understood.
        """
        if (text := self._read(INTERRUPTION)) is None:
            return None
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(text)
        at = time.strptime(str(found.get("time")), "%Y-%m-%dT%H:%M:%SZ")
        return Interruption(str(found.get("action")), float(calendar.timegm(at)))

    def rebalance(self) -> bool:
        """Return whether the cloud recommends to leave this instance, because it may soon be taken away.

        :raises OSError: the service does not respond.
        """
        return self._read(REBALANCE) is not None

    def _read(self, path: str) -> Optional[str]:  # noqa: UP045
        """Return the text at a path, None if there is none."""
        status, text = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token}) if self._token else (401, "")
        if status == 401:  # there is no token yet, or it has expired
            ttl = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            status, self._token = self._ask("PUT", "/latest/api/token", ttl)
            if status != 200:
                self._token = ""
                raise OSError(f"{self.address} gave no token (HTTP status {status})")
            status, text = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status not in (200, 404):
            raise OSError(f"{self.address}{path}: HTTP status {status}")
        return text if status == 200 else None

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        import http.client  # most ranks never ask, and loading this takes as long as all else of theirs
        from urllib.parse import urlsplit

        place = urlsplit(self.address)
        try:
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=ANSWER_SECONDS)
            try:
                connection.request(method, place.path.rstrip("/") + path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read(LARGEST).decode(errors="replace")
            finally:
                connection.close()
        except (http.client.HTTPException, ValueError) as error:  # ValueError: a port that is no number
            raise OSError(f"{self.address}: {error or type(error).__name__}") from None
