"""Messages between a process and its child."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mpirender.system.channel import Channel

LARGE = 5_000_000  # bytes, much more than a socket takes at once


@contextmanager
def child(main: Callable[[Channel], object]) -> Iterator[tuple[Channel, int]]:
    """Run a function in a forked process, with the other end of the channel; give the channel and the process id."""
    own, other = socket.socketpair()
    pid = os.fork()
    if not pid:
        own.close()
        try:
            main(Channel(other))
        finally:
            os._exit(0)
    other.close()
    channel = Channel(own)
    try:
        yield channel, pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        channel.close()


def echo(channel: Channel) -> None:
    while True:
        channel.send(channel.receive())


def test_messages_arrive_in_order_whatever_their_size() -> None:
    with child(echo) as (channel, _):
        messages = [None, "", "x" * LARGE, {"frame": 3}, b"y" * LARGE, (1, 2)]
        for message in messages:
            channel.post(message)  # the rest of a large one is sent by poll()
        assert [channel.receive() for _ in messages] == messages
        assert not channel.poll(0), "there is no further message"


def test_a_process_that_is_stopped_does_not_block_the_one_that_posts() -> None:
    with child(echo) as (channel, pid):
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        for number in range(3):
            channel.post(b"%d" % number * LARGE)
        assert not channel.poll(0.05)
        os.kill(pid, signal.SIGCONT)
        assert [channel.receive()[:1] for _ in range(3)] == [b"0", b"1", b"2"]


def test_send_returns_when_the_other_process_has_taken_the_message() -> None:
    own, other = socket.socketpair()
    sender, receiver = Channel(own), Channel(other)
    thread = threading.Thread(target=sender.send, args=[b"x" * LARGE])
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert receiver.receive() == b"x" * LARGE
    thread.join(10)
    assert not thread.is_alive()
    sender.close()
    with pytest.raises(EOFError):
        receiver.receive()
    receiver.close()


def test_poll_waits_for_a_message_as_long_as_it_is_told() -> None:
    def late(channel: Channel) -> None:
        channel.receive()
        time.sleep(0.2)
        channel.send("late")
        channel.receive()

    with child(late) as (channel, _):
        assert not channel.poll(0)
        channel.post("begin")
        assert channel.poll(None)
        assert channel.poll(0), "the message is still there"
        assert channel.receive() == "late"


@pytest.mark.parametrize("how", ["receive", "poll", "post", "send"])
def test_the_end_of_the_other_process_is_an_eof_error(how: str) -> None:
    with child(lambda channel: channel.receive()) as (channel, pid):
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        call = {
            "receive": channel.receive, "poll": lambda: channel.poll(None), "post": lambda: channel.post("x"),
            "send": lambda: channel.send("x"),
        }[how]  # fmt: skip
        with pytest.raises(EOFError):
            call()


def test_a_message_sent_before_the_end_is_received_and_half_a_message_is_not() -> None:
    def last_words(channel: Channel) -> None:
        channel.send("whole")
        channel.post(b"x" * LARGE)  # only a part fits into the socket

    with child(last_words) as (channel, _):
        assert channel.receive() == "whole"
        with pytest.raises(EOFError):
            channel.receive()
