"""Start copies of this process as it is before threads, connections, MPI and OpenGL exist in it.

A process in which these have started cannot be forked safely. The fork server is forked before, does nothing but fork
again on request, and reports how its child ended. It inherits no open files, and it and its child end with the process
that made it. It ends that process if a signal has stopped it: on another machine than the supervisor's, nobody else may
look.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from mpirender.system import signals, stopped_processes
from mpirender.system.channel import Channel
from mpirender.system.child_process import adopt_orphans, end_orphans, end_with_parent
from mpirender.system.stopped_processes import StoppedProcesses

NUMBER = struct.Struct("!i")  # a process id, or the status of waitpid()

CHILD_ENDED = {signal.SIGCHLD}

Main = Callable[[Channel], None]


class Child:
    """A process that the fork server has started, and the channel to it."""

    def __init__(self, pid: int, channel: Channel, server: socket.socket) -> None:
        self.pid, self.channel, self._server = pid, channel, server
        self._status: int | None = None

    def kill(self) -> None:
        """End the process with SIGKILL, also if it is stopped."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Return whether the process has ended; a process that it forked may still hold the channel open."""
        if self._status is None:
            report = select.poll()
            report.register(self._server, select.POLLIN)
            if report.poll(0):
                self._status = receive_number(self._server)
        return self._status is not None

    def wait(self) -> int:
        """Close the channel, wait for the end of the process, and return its exit code, negative for a signal."""
        self.channel.close()
        if self._status is None:
            self._status = receive_number(self._server)
        return -os.WTERMSIG(self._status) if os.WIFSIGNALED(self._status) else os.WEXITSTATUS(self._status)


class ForkServer:
    """Starts one child after the other: :meth:`start` may be called when the one before has ended."""

    def __init__(self, main: Main, *, output: int, kept: Sequence[int] = (), again: Sequence[str] = ()) -> None:
        """Fork the server.

        :param main: runs in each child, which ends when it returns.
        :param output: file descriptor of the standard output and error of the children.
        :param kept: further file descriptors that the children keep open.
        :param again: a command that a child becomes instead of calling ``main``, for a process that has threads
            already; the descriptor of its channel is added, as its last word.
        """
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            _serve(other, main, output, kept, again)
        other.close()

    def start(self) -> Child:
        """Start a child; raise EOFError if the server has been killed."""
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with other, contextlib.suppress(OSError):
                socket.send_fds(self._socket, [b"fork"], [other.fileno()])
            return Child(receive_number(self._socket), Channel(own), self._socket)
        except EOFError:
            own.close()
            raise

    def close(self) -> None:
        """End the server; its child must have ended."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):  # it was killed, and collected by the host program
            os.waitpid(self._pid, 0)


def receive_number(server: socket.socket) -> int:
    """Wait for the answer of the server; raise EOFError if it has been killed."""
    answer = b""
    with contextlib.suppress(OSError):
        answer = server.recv(NUMBER.size)
    if not answer:
        raise EOFError("the fork server has ended")
    return int(NUMBER.unpack(answer)[0])


def _serve(requests: socket.socket, main: Main, output: int, kept: Sequence[int], again: Sequence[str]) -> NoReturn:
    """Fork a child for each request and report its process id and its end; the main function of the server."""
    code, own, parent = 1, os.getpid(), os.getppid()
    maker = StoppedProcesses(lambda: [parent], stopped_processes.LATER_SECONDS)
    try:
        end_with_parent(signal.SIGKILL)
        adopt_orphans()
        signals.ignore_signals()  # the process that made it handles them
        _close_files(output, but={requests.fileno(), output, *kept})
        signal.pthread_sigmask(signal.SIG_BLOCK, CHILD_ENDED)
        while True:
            while not select.select([requests], [], [], stopped_processes.LOOK_SECONDS)[0]:
                maker.end(_say)
            _, (channel, *_), *_ = socket.recv_fds(requests, 16, 1)
            pid = os.fork()
            if not pid:
                requests.close()
                _become(channel, main, kept, again, own)
            os.close(channel)
            requests.send(NUMBER.pack(pid))
            status = _status_at_end(pid, maker)
            end_orphans()
            requests.send(NUMBER.pack(status))
    except ValueError:  # no descriptor: the other end is closed
        code = 0
    finally:
        os._exit(code)


def _status_at_end(pid: int, maker: StoppedProcesses) -> int:
    """Wait for the end of a child, and meanwhile watch the process that made this one; return the status."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        signal.sigtimedwait(CHILD_ENDED, stopped_processes.LOOK_SECONDS)
        maker.end(_say)


def _say(pid: int) -> None:
    """Say why the process that made this one ends, with which this one ends at once."""
    with contextlib.suppress(OSError):  # the disk may be full
        os.write(2, f"process {pid} was stopped by a signal, and is ended\n".encode())


def _become(channel: int, main: Main, kept: Sequence[int], again: Sequence[str], server: int) -> NoReturn:
    """Run the main function of a child, or the command."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CHILD_ENDED)
        end_with_parent(signal.SIGKILL, server)
        if again:
            for number in (channel, *kept):
                os.set_inheritable(number, True)
            os.execvp(again[0], [*again, str(channel)])
        main(Channel(socket.socket(fileno=channel)))
        code = 0
    except EOFError:  # the process that gives the orders has ended, or has closed the channel
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _close_files(output: int, but: set[int]) -> None:
    """Close all inherited files except these: launchers notice the death of a rank by its closed connections."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream, target in ((0, null), (1, output), (2, output)):
        os.dup2(target, stream)
    for number in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in but:
            with contextlib.suppress(OSError):  # the file of the list itself
                os.close(number)
