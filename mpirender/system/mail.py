"""Sends mails: through the SMTP server of the site, else with sendmail."""

from __future__ import annotations

import shutil
import smtplib
import socket
from email.message import EmailMessage

from mpirender.errors import LaunchFailed, one_line
from mpirender.system import child_process, host, site
from mpirender.system.text import printable

SECONDS = 20.0
SENDMAIL = ("sendmail", "/usr/sbin/sendmail", "/usr/lib/sendmail")
SMTP_PORT = 25
PICTURE_ID = "picture"  # by which the text in HTML names the picture


def message(to: str, sender: str, subject: str, text: str) -> EmailMessage:
    """Return a mail with a plain text."""
    mail = EmailMessage()
    mail["To"], mail["From"], mail["Subject"] = to, sender, one_line(printable(subject))
    mail.set_content(text)
    return mail


def add_picture(mail: EmailMessage, html: str, jpg: bytes) -> None:
    """Add the same text in HTML, and the picture that it shows as ``cid:picture``."""
    mail.add_alternative(html, subtype="html")
    page = mail.get_payload()[1]  # type: ignore[index]
    page.add_related(jpg, "image", "jpeg", cid=f"<{PICTURE_ID}>", filename="contact_sheet.jpg", disposition="inline")  # type: ignore[union-attr]


def own_address() -> str:
    """Return the user and this host."""
    name = socket.getfqdn()
    return f"{host.user_name()}@{socket.gethostname() if name == 'localhost' else name}"


def problem() -> str:
    """Return why no mail can be sent from here, empty if it seems possible."""
    if site.read(site.SMTP) or _sendmail():
        return ""
    return f"{socket.gethostname()} has no sendmail, and {site.SMTP} is not set"


def send(mail: EmailMessage) -> None:
    """Send a mail through the site's SMTP server (``MPIRENDER_SMTP``), else with sendmail.

    :raises LaunchFailed: it could not be sent, with the reason.
    """
    server, program = site.read(site.SMTP), _sendmail()
    if server:
        _through_smtp(mail, server)
    elif program:
        _through_sendmail(mail, program)
    else:
        raise LaunchFailed(problem())


def _sendmail() -> str | None:
    return next(filter(None, map(shutil.which, SENDMAIL)), None)


def _through_smtp(mail: EmailMessage, server: str) -> None:
    name, _, port = server.partition(":")
    try:
        with smtplib.SMTP(name, int(port or SMTP_PORT), timeout=SECONDS) as connection:
            connection.send_message(mail)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise LaunchFailed(f"{site.SMTP}={server}: {one_line(str(error))}") from None


def _through_sendmail(mail: EmailMessage, program: str) -> None:
    """Let sendmail read the addresses from the message: its arguments can be read by all users."""
    try:
        done = child_process.run([program, "-t", "-i"], timeout=SECONDS, given=mail.as_bytes())
    except OSError as error:
        raise LaunchFailed(f"{program}: {one_line(str(error))}") from None
    if done.code:
        raise LaunchFailed(f"{program}: {one_line(done.errors or done.output) or f'exit code {done.code}'}")
