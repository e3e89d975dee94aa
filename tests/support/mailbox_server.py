"""A mail server that keeps what it receives.

With PORT and FOLDER as arguments it runs until its input ends, and writes the mails into the folder.
"""

from __future__ import annotations

import email
import email.policy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """The mails that have come in."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail; the name of this method is that of aiosmtpd."""
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class FreePort(Controller):
    """A controller that listens on a free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def receiving(port: int = 0) -> Iterator[Mailbox]:
    """Receive mails during the block, on a free port by default."""
    found = Mailbox()
    controller = FreePort(found, hostname="127.0.0.1", port=port)
    controller.start()
    found.port = controller.port
    try:
        yield found
    finally:
        controller.stop()


if __name__ == "__main__":
    with receiving(int(sys.argv[1])) as mailbox:
        sys.stdin.read()
        for number, mail in enumerate(mailbox.mails):
            Path(sys.argv[2], f"{number}.eml").write_bytes(mail.as_bytes())
