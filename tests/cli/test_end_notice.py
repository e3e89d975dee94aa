"""The notice at the end of a run: --on-end and --mail."""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import shlex
import signal
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from mailbox_server import receiving
from mpirender.errors import Stopped
from mpirender.job.render_job import RenderJob
from mpirender.monitor import ending, notice
from mpirender.run_folder.run_state import RunState
from mpirender.system import mail
from processes import Run
from runs import started

SIZE = ("--size", "64x48", "--ranks", 2)
WRITE = 'cat > result.json; echo "$MPIRENDER_OUTCOME $MPIRENDER_EXIT_CODE $MPIRENDER_MOVIE" > words; echo "a line"'


@pytest.fixture
def result(tmp_path: Path):
    """Return a function that returns the JSON object that the command has got."""
    return lambda: json.loads((tmp_path / "result.json").read_text())


def parts(sent: EmailMessage) -> tuple[str, list[EmailMessage]]:
    """Return the plain text of a mail, and its pictures."""
    text = sent.get_body(("plain",)).get_content().replace("\r\n", "\n")
    return text, [part for part in sent.walk() if part.get_content_maintype() == "image"]


def sendmail(folder: Path, script: str) -> dict[str, str]:
    """Return an environment with a program sendmail and without a mail server."""
    (folder / "bin").mkdir()
    (folder / "bin" / "sendmail").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "sendmail").chmod(0o755)
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "MPIRENDER_SMTP": ""}


def test_a_run_that_has_finished_runs_the_command_once_and_mails_the_contact_sheet(
    run: Run, pattern, result, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 4}', "wéllé.pattern")
    with receiving() as mailbox:
        environment = {**os.environ, "MPIRENDER_SMTP": f"localhost:{mailbox.port}"}
        command = f"echo x >> count; {WRITE}"
        words = ("--price", 2, "--on-end", command, "--mail", "me@site.org", "--mail", "you")
        done = run("render", scene, *SIZE, *words, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("a line\n")
    movie = tmp_path / "wéllé_renders" / "wéllé_64x48.mp4"
    assert (tmp_path / "words").read_text() == f"finished 0 {movie}\n"
    assert (tmp_path / "count").read_text() == "x\n"
    found = result()
    assert (found["outcome"], found["images"]["rendered"], found["movies"]) == ("finished", 4, [str(movie)])
    assert found["cost"]["dollars"] > 0
    first, other = mailbox.mails
    assert (first["To"], other["To"]) == ("me@site.org", "you")
    assert first["Subject"].startswith("wéllé.pattern is finished: 4 images in ")
    text, (picture,) = parts(first)
    assert f"movie  {movie}\n  images  4 rendered\n" in text
    assert "cost  $" in text
    page = first.get_body(("html",)).get_content()
    assert picture["Content-ID"] == "<picture>"
    assert 'src="cid:picture"' in page
    with Image.open(io.BytesIO(picture.get_content())) as shown, Image.open(found["contact_sheet"]) as sheet:
        assert shown.size == sheet.size


def test_after_a_failure_the_mail_names_the_frames_and_a_command_that_tries_them(
    run: Run, pattern, result, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 6, "fail": [2, 3]}')
    environment = sendmail(tmp_path, f'echo "$*" > {tmp_path}/arguments; cat > {tmp_path}/mail')
    done = run("render", scene, *SIZE, "--on-end", f"{WRITE}; exit 7", "--mail", "me", env=environment)
    assert done.returncode == 4
    errors = [line for line in done.stderr.splitlines() if not line.startswith("mpirender: error: ")]
    assert errors == ["mpirender: warning: --on-end: the command ended with exit code 7"]
    assert (tmp_path / "arguments").read_text() == "-t -i\n", "all users can read arguments"
    sent = email.message_from_bytes((tmp_path / "mail").read_bytes(), policy=email.policy.default)
    assert sent["Subject"] == "test.pattern FAILED: 4 of 6 images done, 2 failed"
    text, pictures = parts(sent)
    assert not pictures
    assert "2 of 6 images missing" in text
    assert text.count("the pattern is set to fail at frame 3") == 1
    found = result()
    assert (found["outcome"], found["exit_code"]) == ("failed", 4)
    assert sorted(one["frames"] for one in found["failed"]) == ["2", "3"]
    assert f"To try only these frames:\n  {found['try_command']}\n" in text
    assert "--mail" not in found["try_command"]
    scene.write_text('{"frames": 6}')
    for command in (found["try_command"], found["command"]):
        assert run(*shlex.split(command)[1:], env=environment).returncode == 0
    assert result()["outcome"] == "finished"


def test_a_run_that_a_signal_stops_says_how_to_continue_it(pattern, result) -> None:
    scene = pattern('{"frames": 200, "seconds": 0.1}')
    with started(scene, "--on-end", WRITE) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
    found = result()
    assert (found["outcome"], found["exit_code"], found["images"]["total"]) == ("stopped", 75, 200)
    assert found["message"].startswith("stopped on SIGTERM")


def test_ranks_that_die_are_no_end_and_a_mail_that_cannot_be_sent_is_a_warning(
    run: Run, pattern, result, tmp_path: Path
) -> None:
    environment = sendmail(tmp_path, "echo no such user >&2; exit 67")
    scene = pattern('{"frames": 3, "kill_load": {"0": [1]}}')
    words = (*SIZE, "--on-end", f"echo x >> count; {WRITE}", "--mail", "me")
    done = run("render", scene, *words, env=environment)
    assert done.returncode == 0
    assert f"mpirender: warning: --mail: no mail was sent to me: {tmp_path}/bin/sendmail: no such user\n" in done.stderr
    assert (tmp_path / "count").read_text() == "x\n"
    assert result()["outcome"] == "finished"


def test_wrong_values_are_mistakes(run: Run, pattern) -> None:
    done = run("render", pattern(), *SIZE, "--mail", "a b", "--on-end", "")
    assert done.returncode == 2
    assert "--mail 'a b' is not a mail address" in done.stderr
    assert "--on-end '': write a command for the shell" in done.stderr


def test_without_sendmail_and_mail_server_it_is_known_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SENDMAIL", ("no-such-program",))
    monkeypatch.delenv("MPIRENDER_SMTP", raising=False)
    assert mail.problem().endswith("has no sendmail, and MPIRENDER_SMTP is not set")
    monkeypatch.setenv("MPIRENDER_SMTP", "localhost:25")
    assert not mail.problem()


def test_the_command_that_takes_too_long_or_cannot_start_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "COMMAND_SECONDS", 0.5)
    job = RenderJob(tmp_path / "a.pattern", tmp_path / "o", on_end="echo begun; sleep 60 & sleep 60")
    end = ending.ended(job, RunState(), Stopped("stopped", signal="SIGTERM"), 1.0)
    shown, warned = [], []
    notice.give(end, shown.append, warned.append)
    assert shown == ["begun"]
    assert warned == ["--on-end: the command was ended after 0 s, or by a signal"]
