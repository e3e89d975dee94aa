"""The mail at the end of a run: what a user needs to know first, and the contact sheet."""

from __future__ import annotations

import html
import io
import shlex
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpirender.errors import LaunchFailed
from mpirender.monitor import cost
from mpirender.monitor.ending import Ending
from mpirender.system import mail
from mpirender.system.text import duration, plural, printable

WIDTH = 1200  # pixels of the picture, at most
QUALITY = 80  # of the jpg
MOST_LINES = 20  # of a list
LABEL_WIDTH = 8
VERBS = {"finished": "is finished", "failed": "FAILED", "stopped": "was stopped"}
PAGE = (
    '<html><body style="font-family: sans-serif"><pre style="white-space: pre-wrap; font-size: 14px">{text}</pre>'
    "{picture}</body></html>"
)
PICTURE = f'<img src="cid:{mail.PICTURE_ID}" alt="contact sheet" style="max-width: 100%">'


def send(addresses: Sequence[str], ending: Ending) -> Iterator[str]:
    """Send the mail to each address; yield what went wrong."""
    head, text, picture = subject(ending), body(ending), picture_of(ending)
    page = PAGE.format(text=html.escape(text), picture=PICTURE)
    for address in addresses:
        message = mail.message(address, mail.own_address(), head, text)
        if picture:
            mail.add_picture(message, page, picture)
        try:
            mail.send(message)
        except LaunchFailed as error:
            yield f"--mail: no mail was sent to {address}: {error}"


def subject(ending: Ending) -> str:
    """Return the subject."""
    return f"{ending.job.scene.name} {VERBS[ending.outcome]}: {result_text(ending)}"


def result_text(ending: Ending) -> str:
    """Return what was done, in a few words."""
    total, done, failed = (ending.images.get(name, 0) for name in ("total", "done", "failed"))
    if not total:
        return "no image was begun"
    if ending.outcome == "finished":
        return f"{plural(total, 'image')} in {duration(ending.seconds)}"
    bad = f", {failed} failed" if failed else ""
    return f"{done} of {plural(total, 'image')} done{bad}"


def body(ending: Ending) -> str:
    """Return the text."""
    parts = [f"{subject(ending)}.", *({"failed": failure, "stopped": stop}.get(ending.outcome, success)(ending))]
    return printable("\n\n".join(filter(None, parts))) + "\n"


def success(ending: Ending) -> list[str]:
    """Return the paragraphs about a run that has made everything."""
    rows = [("movie", one) for one in ending.movies[:MOST_LINES]]
    images = ending.images
    kept = f", {images['kept']} kept from before" if images.get("kept") else ""
    rows += [("images", f"{images.get('rendered', 0)} rendered{kept}")]
    return [table([*rows, *facts(ending)]), listed("Warnings:", ending.warnings)]


def failure(ending: Ending) -> list[str]:
    """Return the paragraphs about a run that has failed."""
    again = "Then run the whole again, which keeps the images that are done, and makes the movie:"
    first = "After you have fixed the reason, run it again; it keeps the images that are done:"
    return [
        listed("What went wrong:", ending.message.splitlines()),
        failed_frames(ending),
        f"To try only these frames:\n  {ending.try_command}" if ending.try_command else "",
        f"{again if ending.try_command else first}\n  {ending.command}",
        table(facts(ending)),
    ]


def stop(ending: Ending) -> list[str]:
    """Return the paragraphs about a run that was stopped."""
    how = listed("Why:", ending.message.splitlines())
    return [
        how,
        failed_frames(ending),
        f"Nothing is lost. To continue it, run the same command:\n  {ending.command}",
        table(facts(ending)),
    ]


def failed_frames(ending: Ending) -> str:
    """Return the failed frames with their reasons, empty if the message has told them."""
    told = all(one.reason in ending.message for one in ending.failed)
    return (
        "" if told else listed("Failed frames:", [f"{one.output} {one.frames}: {one.reason}" for one in ending.failed])
    )


def facts(ending: Ending) -> list[tuple[str, str]]:
    """Return label and text of what is known of every run."""
    spent = ending.cost
    look = shlex.join(["mpirender", "status", str(ending.job.output)])
    return [
        ("time", duration(ending.seconds)),
        *([("cost", cost.line(spent.hours, spent.dollars, spent.per_image))] if spent else []),
        ("folder", str(ending.job.output)),
        *([("report", ending.report)] if ending.report else []),
        ("host", socket.gethostname()),
        *([("job", f"Slurm job {ending.slurm_job}")] if ending.slurm_job else []),
        ("more", look),
    ]


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return lines with labels."""
    return "\n".join(f"{label:>{LABEL_WIDTH}}  {text}" for label, text in rows)


def listed(title: str, lines: Sequence[str]) -> str:
    """Return a title and its lines, the first ones of many; empty without any."""
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n".join([title, *(f"  {line}" for line in [*lines[:MOST_LINES], *more])]) if lines else ""


def picture_of(ending: Ending) -> bytes:
    """Return the contact sheet, small enough for a mail; empty without one."""
    from PIL import Image

    if not ending.contact_sheet:
        return b""
    try:
        with Image.open(Path(ending.contact_sheet)) as sheet:
            picture = sheet.convert("RGB")
    except OSError:
        return b""
    picture.thumbnail((WIDTH, 2 * WIDTH))
    content = io.BytesIO()
    picture.save(content, "jpeg", quality=QUALITY)
    return content.getvalue()
