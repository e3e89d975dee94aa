"""The mail that says how to connect. Slurm's own mails have no text, so a session sends it itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpirender.errors import LaunchFailed
from mpirender.system import mail


def problem_of_sending(to: str, facts: Mapping[str, Any], text: str) -> str:
    """Send the mail about a session that is ready; return why that failed, empty if it did not."""
    subject = f"ParaView {facts['version']} is ready on {facts['host']} (session {facts['session']})"
    try:
        mail.send(mail.message(to, facts["login"], subject, text))
    except LaunchFailed as error:
        return str(error)
    return ""
