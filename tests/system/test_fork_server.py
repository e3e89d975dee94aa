"""Start copies of a process as it was before threads and connections existed in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpirender.system.channel import Channel
from mpirender.system.fork_server import Child, ForkServer
from waiting import wait_for


@contextmanager
def server_of(main: Callable[[Channel], None], **options: object) -> Iterator[ForkServer]:
    server = ForkServer(main, **{"output": 2, **options})
    try:
        yield server
    finally:
        server.close()


def obey(channel: Channel) -> None:
    """Do what the messages say."""
    while True:
        what = channel.receive()
        if isinstance(what, int):
            os._exit(what)
        if what == "fail":
            sys.stderr = sys.__stderr__  # pytest has replaced it
            raise ValueError("no such frame")
        if what.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[what])
        if what == "files":
            channel.send([str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()])
        if what == "leave a process":
            with subprocess.Popen(["sleep", "60"], pass_fds=[channel.fileno()]) as process:
                channel.send(process.pid)
                os._exit(0)
        if what == "facts":
            channel.send((os.getpid(), os.getppid(), threading.active_count()))


def facts(child: Child) -> tuple[int, int, int]:
    child.channel.post("facts")
    found: tuple[int, int, int] = child.channel.receive()
    return found


def ended(pid: int) -> bool:
    """Return whether a process is gone, or only its exit code is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_children_are_forked_one_after_the_other_from_the_state_before() -> None:
    with server_of(obey) as server:
        waiting = threading.Event()
        thread = threading.Thread(target=waiting.wait)  # begun after the server was forked
        thread.start()
        for _ in range(2):
            child = server.start()
            pid, parent, threads = facts(child)
            assert (pid, threads) == (child.pid, 1)
            assert parent != os.getpid()
            assert child.wait() == 0, "a child ends when its channel is closed"
        waiting.set()
        thread.join()


@pytest.mark.parametrize(("order", "code"), [(0, 0), (3, 3), ("SIGSEGV", -11), ("SIGKILL", -9), ("fail", 1)])
def test_the_exit_code_or_signal_of_a_child_is_reported(tmp_path: Path, order: object, code: int) -> None:
    with (tmp_path / "output").open("w") as output, server_of(obey, output=output.fileno()) as server:
        child = server.start()
        child.channel.post(order)
        assert child.wait() == code
        assert child.wait() == code, "it may be asked again"
        child.kill()  # does nothing: the number may belong to another process now
        again = server.start()
        assert facts(again)[0] == again.pid
        again.wait()
    assert ("ValueError: no such frame" in (tmp_path / "output").read_text()) == (order == "fail")


def test_a_child_that_is_stopped_can_be_killed() -> None:
    with server_of(obey) as server:
        child = server.start()
        os.kill(child.pid, signal.SIGSTOP)
        child.kill()
        assert child.wait() == -signal.SIGKILL


def test_children_inherit_no_files_but_those_that_are_named(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret, (tmp_path / "kept").open("w") as kept, socket.socket():
        output = (tmp_path / "output").open("w")
        with output, server_of(obey, output=output.fileno(), kept=[kept.fileno()]) as server:
            secret.flush()
            child = server.start()
            child.channel.post("files")
            names = child.channel.receive()
            child.wait()
    named = {name for name in names if not name.startswith(("socket:", "/dev/null"))}
    assert named == {str(tmp_path / "kept"), str(tmp_path / "output")}
    assert len([name for name in names if name.startswith("socket:")]) == 1, "only its channel"


def test_children_become_another_command_where_the_process_cannot_be_forked() -> None:
    program = (
        "import os, socket, sys; from mpirender.system.channel import Channel; "
        "channel = Channel(socket.socket(fileno=int(sys.argv[2]))); "
        "os.write(int(sys.argv[1]), b'kept'); channel.send(channel.receive() * 2); sys.exit(5)"
    )
    reading, writing = os.pipe()
    with server_of(obey, kept=[writing], again=[sys.executable, "-c", program, str(writing)]) as server:
        child = server.start()
        child.channel.post(21)
        assert child.channel.receive() == 42
        assert os.read(reading, 9) == b"kept"
        assert child.wait() == 5
    os.close(reading)
    os.close(writing)


DYING = """
import os, signal
from mpirender.system.fork_server import ForkServer
server = ForkServer(lambda channel: signal.pause(), output=2)
child = server.start()
print(child.pid, server._pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_server_and_child_end_with_the_process_that_made_them(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", DYING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = [int(pid) for pid in process.stdout.readline().split()]
        assert not any(map(ended, started))
        process.send_signal(number)
    wait_for(lambda: all(map(ended, started)), 10)


def test_a_child_ends_with_its_server_which_is_an_eof_error() -> None:
    server = ForkServer(obey, output=2)
    child = server.start()
    _, parent, _ = facts(child)
    os.kill(parent, signal.SIGKILL)
    with pytest.raises(EOFError):
        child.channel.receive()
    with pytest.raises(EOFError, match="the fork server has ended"):
        child.wait()
    with pytest.raises(EOFError, match="the fork server has ended"):
        server.start()
    server.close()


def test_the_server_ignores_the_signals_that_ask_its_process_to_stop() -> None:
    with server_of(obey) as server:
        child = server.start()
        _, parent, _ = facts(child)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            os.kill(parent, number)
            os.kill(child.pid, number)
        assert facts(child)[0] == child.pid
        assert child.wait() == 0


def test_processes_that_a_child_leaves_end_with_it() -> None:
    with server_of(obey) as server:
        child = server.start()
        child.channel.post("leave a process")
        left = child.channel.receive()
        with pytest.raises(EOFError):  # the process held the channel open
            child.channel.poll(20)
        assert child.wait() == 0
        assert ended(left)


ALONE = """
import os, signal, sys
from mpirender.system import stopped_processes
from mpirender.system.fork_server import ForkServer
stopped_processes.LOOK_SECONDS = stopped_processes.ENDED_SECONDS = stopped_processes.LATER_SECONDS = 0.1
server = ForkServer(lambda channel: signal.pause(), output=2)
if sys.argv[1] == "with a child":
    server.start()
os.kill(os.getpid(), signal.SIGSTOP)
signal.pause()
"""


@pytest.mark.parametrize("when", ["with a child", "before"])
def test_the_server_ends_the_process_that_made_it_if_that_stays_stopped(when: str) -> None:
    done = subprocess.run([sys.executable, "-c", ALONE, when], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "was stopped by a signal, and is ended" in done.stderr
