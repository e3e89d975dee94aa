"""Sessions on this machine, with real servers and clients."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mailbox_server import Mailbox, receiving
from mpirender.job.programs import Programs
from mpirender.sessions import handshake, serve
from mpirender.sessions.records import Event, Records
from mpirender.sessions.session import SessionRequest
from processes import Run, marked, need
from session_runs import assert_the_pictures_are_the_same, client, left_running, seen, serving

pytestmark = pytest.mark.slow
HERE = ("--launcher", "mpiexec")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server."""
    with receiving() as found:
        yield found


def knock(port: int, version: str = "5.11") -> None:
    """Connect as a client with another version and then as one with a wrong connection id."""
    assert handshake.problem_of("localhost", port, version) == ""


def test_a_client_with_the_id_works_on_the_server_and_all_others_are_refused(
    x_server: Mapping[str, str], tmp_path: Path, mailbox: Mailbox
) -> None:
    copy = tmp_path / "a 'copy' $HOME.log"
    options = (*HERE, "--ranks", 2, "--time", "0:30:00", "--output-file", copy, "--mail-user", "me@site.org")
    environment = {**marked(tmp_path), "MPIRENDER_SMTP": f"localhost:{mailbox.port}"}
    with serving(tmp_path, *options, environment=environment) as session:
        facts = session.facts()
        assert session.event("mail")["text"] == "sent to me@site.org"
        (mail,) = mailbox.mails
        assert (mail["To"], mail["Subject"]) == (
            "me@site.org",
            f"ParaView 5.11.0 is ready on {facts['host']} (session {facts['session']})",
        )
        assert f"paraview --connect-id={facts['connect_id']} --server-url=cs://localhost:11111" in mail.get_content()
        files = list((tmp_path / "home" / ".mpirender" / "sessions").iterdir())
        assert {path.stat().st_mode & 0o777 for path in [*files, copy]} == {0o600}
        assert files[0].parent.stat().st_mode & 0o777 == 0o700
        assert f'value="{facts["connect_id"]}"' in Path(facts["server_file"]).read_text()
        knock(facts["port"])
        with socket.create_connection(("localhost", facts["port"])) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        without = client(facts, x_server, tmp_path / "without", connect_id=0)
        assert not seen(tmp_path / "without")["connected"]
        without.wait(60)
        good = client(facts, x_server, tmp_path / "good")
        assert seen(tmp_path / "good") == {"connected": True, "ranks": 2, "timeout": 29}
        assert good.wait(60) == 0
        assert session.wait() == 0
    why = [event["facts"]["why"] for event in session.events() if event["what"] == "refused"]
    assert sorted(why) == ["garbage", "id", "id", "version"]
    assert [event["what"] for event in session.events()][-3:] == ["connected", "disconnected", "ended"]
    assert "ParaView 5.11" in next(event["text"] for event in session.events() if "another version" in event["text"])
    assert_the_pictures_are_the_same(tmp_path / "good")
    assert "Accepting connection(s)" in copy.read_text()
    assert left_running(tmp_path) == []
    assert {path.suffix for path in files[0].parent.iterdir()} == {".jsonl", ".log"}


def test_with_keep_a_server_is_replaced_when_its_client_is_killed_or_a_rank_dies_and_ends_when_ids_are_guessed(
    x_server: Mapping[str, str], tmp_path: Path
) -> None:
    with serving(tmp_path, *HERE, "--ranks", 2, "--keep", environment=marked(tmp_path)) as session:
        facts = session.facts()
        killed = client(facts, x_server, tmp_path / "killed", tmp_path / "never")
        seen(tmp_path / "killed")
        killed.kill()
        killed.wait()
        again = session.facts(2)
        assert (again["port"], again["connect_id"]) == (facts["port"], facts["connect_id"])
        listing = ["pgrep", "-f", f"connect-id={facts['connect_id']}"]
        ranks = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGKILL)
        assert "died (signal SIGKILL)" in session.event("restarting", 2)["text"]
        last = client(session.facts(3), x_server, tmp_path / "last")
        session.event("connected", 2)
        with socket.socket() as other:  # the server no longer listens, so anybody may take the port
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("", facts["port"]))
            other.listen()
            assert last.wait(90) == 0
            assert "Address already in use" in session.event("restarting", 4)["text"]
            port = session.facts(4)["port"]
        assert port != facts["port"]
        for _ in range(10):
            knock(port)
        assert session.wait() == 6
    assert re.fullmatch(r"mpirender: error: 10 clients had a wrong connection id.*\n", session.errors)
    assert left_running(tmp_path) == []


def test_a_reverse_server_connects_to_the_client_that_waits(x_server: Mapping[str, str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    with serving(tmp_path, *HERE, "--ranks", 2, "--reverse", f"localhost:{port}") as session:
        facts = session.facts()
        assert f'resource="csrc://localhost:{port}"' in Path(facts["server_file"]).read_text()
        waiting = client(facts, x_server, tmp_path / "client", host="reverse", port=port)
        assert seen(tmp_path / "client")["ranks"] == 2
        assert (waiting.wait(60), session.wait()) == (0, 0)
    assert_the_pictures_are_the_same(tmp_path / "client")


@pytest.mark.parametrize(
    ("number", "code", "text"), [(signal.SIGTERM, 75, "stopped on SIGTERM"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_the_session_and_everything_it_started(
    tmp_path: Path, number: signal.Signals, code: int, text: str
) -> None:
    with serving(tmp_path, "--launcher", "none", environment=marked(tmp_path)) as session:
        session.facts()
        session.process.send_signal(number)
        assert session.wait() == code
    assert text in session.errors
    assert session.errors.count("\n") == 1
    assert left_running(tmp_path) == []


def test_the_session_ends_at_its_time_limit_and_warns_before(tmp_path: Path) -> None:
    with serving(tmp_path, "--launcher", "none", "--time", "0:15", environment=marked(tmp_path)) as session:
        assert session.wait() == 75
    assert session.event("ending")["text"].endswith("save your state now")
    assert session.errors.startswith("mpirender: error: the time limit is reached")


def test_a_pvbatch_without_a_pvserver_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pvbatch").symlink_to(shutil.copy(need("pvbatch"), tmp_path / "program"))
    done = run("serve", *HERE, "--pvbatch", "./pvbatch", env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 3
    assert re.fullmatch(r"mpirender: error: \S+/pvserver is not found; .*--pvbatch PATH\n", done.stderr)


def test_without_an_x_server_a_glx_server_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("serve", *HERE, "--backend", "glx", "--display", ":987", env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 3
    assert done.stderr.startswith("mpirender: error: --backend glx is not possible")


def test_an_unexpected_error_is_not_recorded_as_a_client_that_has_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def broken(event: Event) -> None:
        raise RuntimeError("terminal is gone")

    with pytest.raises(RuntimeError):
        serve.serve(SessionRequest(Programs(), "none"), broken)
    (journal,) = (tmp_path / ".mpirender" / "sessions").glob("*.jsonl")
    last = Records(journal.parent, journal.stem).events()[-1]
    assert (last.what, last.facts, last.text) == ("ended", {"code": 1}, "RuntimeError: terminal is gone")


def test_mistakes_are_reported_together(run: Run) -> None:
    done = run("serve", *HERE, "--memory", "9x", "--time", "soon", "--ranks", "0")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3


def test_dry_run_shows_the_command_and_starts_nothing(run: Run, tmp_path: Path) -> None:
    done = run("serve", *HERE, "--memory", "90G", "--dry-run", env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "2 ranks of /" in done.stdout
    assert not (tmp_path / ".mpirender").exists()
