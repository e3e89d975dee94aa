"""The mail that says how to connect. Slurm's own mails have no text, so a session sends it itself."""

from __future__ import annotations

import re
import shutil
import smtplib
import socket
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from mpirender.errors import LaunchFailed, one_line
from mpirender.system import child_process, site

SECONDS = 20.0
ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]-][^\s@<>,;:\"()\[\]]*(@[\w.-]+)?")
SENDMAIL = ("sendmail", "/usr/sbin/sendmail", "/usr/lib/sendmail")
SMTP_PORT = 25


def address(text: str) -> str:
    """Return an address of mail, or the name of a user of this site.

    :raises ValueError: it is none.
    """
    if not ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is not an address of mail")
    return text


def send(to: str, sender: str, subject: str, text: str) -> None:
    """Send a mail through the site's SMTP server (``MPIRENDER_SMTP``), else with sendmail.

    :raises LaunchFailed: it could not be sent, with the reason.
    """
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = to, sender, subject
    message.set_content(text)
    server = site.read(site.SMTP)
    program = next(filter(None, map(shutil.which, SENDMAIL)), None)
    if server:
        _through_smtp(message, server)
    elif program:
        _through_sendmail(message, program)
    else:
        raise LaunchFailed(f"{socket.gethostname()} has no sendmail, and {site.SMTP} is not set")


def problem_of_sending(to: str, facts: Mapping[str, Any], text: str) -> str:
    """Send the mail about a session that is ready; return why that failed, empty if it did not."""
    subject = f"ParaView {facts['version']} is ready on {facts['host']} (session {facts['session']})"
    try:
        send(to, facts["login"], subject, text)
    except LaunchFailed as error:
        return str(error)
    return ""


def _through_smtp(message: EmailMessage, server: str) -> None:
    host, _, port = server.partition(":")
    try:
        with smtplib.SMTP(host, int(port or SMTP_PORT), timeout=SECONDS) as connection:
            connection.send_message(message)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise LaunchFailed(f"{site.SMTP}={server}: {one_line(str(error))}") from None


def _through_sendmail(message: EmailMessage, program: str) -> None:
    """Let sendmail read the addresses from the message: its arguments can be read by all users."""
    try:
        done = child_process.run([program, "-t", "-i"], timeout=SECONDS, given=message.as_bytes())
    except OSError as error:
        raise LaunchFailed(f"{program}: {one_line(str(error))}") from None
    if done.code:
        raise LaunchFailed(f"{program}: {one_line(done.errors or done.output) or f'exit code {done.code}'}")
