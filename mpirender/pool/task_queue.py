"""The jobs of a pool: which are left, which rank may take which, and what has come of each."""

from __future__ import annotations

import reprlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Union, cast

from mpirender.errors import JobFailed, one_line
from mpirender.pool.pickling import Main, loads
from mpirender.pool.worker import Answer, Task, shown, traceback_of
from mpirender.run_folder.events import Note

Job = TypeVar("Job")
Value = TypeVar("Value")

DEADLY = 2  # ranks that a job may take with it
LONGEST_NAME = 80  # characters


@dataclass(frozen=True)
class Outcome(Generic[Job, Value]):
    """What has come of a job.

    Args:
        job: as it was given.
        value: what the function has returned for it; None where it failed, or returned that.
        error: what went wrong, in a line; empty for nothing.
        rank: the one that did it, None where none came to it.
        host: where that is.
        seconds: that the function took.
        number: place of the job among all, from 0.
        details: the whole traceback, or what the log of a rank that died ended with; empty where nothing went wrong.
    """

    job: Job
    value: Value | None = None
    error: str = ""
    rank: int | None = None
    host: str = ""
    seconds: float = 0.0
    number: int = 0
    details: str = field(default="", repr=False)

    def get(self) -> Value:
        """Return the value.

        Raises:
            JobFailed: there is none; it names the job, the error and the rank, and its cause holds the traceback.
        """
        if not self.error:
            return cast(Value, self.value)
        where = f" (rank {self.rank} on {self.host})" if self.rank is not None else ""
        raise JobFailed(f"{self.name}: {self.error}{where}") from (Remote(self.details) if self.details else None)

    @property
    def name(self) -> str:
        """The job in a few words."""
        return name_of(self.number, self.job)


@dataclass(frozen=True)
class RankReady:
    """A rank is ready for jobs."""


@dataclass(frozen=True)
class JobEnded:
    """A job has ended, with this outcome."""

    outcome: Outcome[Any, Any]


PoolEvent = Union[RankReady, JobEnded, Note]


class Remote(Exception):
    """What a rank has told, as the cause of an error here; its text is the traceback there."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def name_of(number: int, job: object) -> str:
    """Return a job in a few words: its number and what it looks like."""
    look = one_line(reprlib.repr(job) if isinstance(job, (list, tuple, dict, set)) else repr(job))
    return f"job {number} ({look if len(look) <= LONGEST_NAME else look[: LONGEST_NAME - 1] + '…'})"


class Work(Generic[Job, Value]):
    """All jobs of a pool and their outcomes.

    Args:
        jobs: what the function is called with.
        packed: each of them, pickled.
        main: the program that the user has started.
    """

    def __init__(self, jobs: Sequence[Job], packed: Sequence[bytes], main: Main) -> None:
        self._jobs, self._packed, self._main = jobs, packed, main
        self._outcomes: dict[int, Outcome[Job, Value]] = {}
        self._left = deque(range(len(jobs)))
        self._deaths: Counter[int] = Counter()
        self._killed: dict[int, int] = {}  # the rank that died last, by the job it was at

    @property
    def outcomes(self) -> list[Outcome[Job, Value]]:
        """What has come of each, in the order of the jobs; those that are done."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._jobs)

    @property
    def finished(self) -> bool:
        """Whether something has come of all."""
        return len(self._outcomes) == self.total

    @property
    def left(self) -> int:
        """How many wait for a rank."""
        return len(self._left)

    def name(self, number: int) -> str:
        """Return a job in a few words."""
        return name_of(number, self._jobs[number])

    def take(self, rank: int, *, alone: bool) -> Task | None:
        """Return the next job for a rank, None where there is none for it.

        A job whose rank has died is for another one.

        Args:
            alone: whether there is no other.
        """
        for number in self._left:
            if alone or self._killed.get(number) != rank:
                self._left.remove(number)
                return Task(number, self._packed[number])
        return None

    def settle(self, answer: Answer, rank: int, host: str) -> Outcome[Job, Value]:
        """Take in what a rank has answered; return what has come of the job."""
        value, error, details = None, answer.error, answer.details
        if answer.value is not None:
            try:
                value = loads(answer.value, self._main.in_caller)
            except Exception as problem:
                error = f"what the function has returned cannot be read here: {shown(problem)}"
                details = traceback_of(problem)
        return self._keep(
            answer.number, value=value, error=error, rank=rank, host=host, seconds=answer.seconds, details=details
        )

    def put_back(self, number: int) -> None:
        """Let a job wait for a rank again that was lost by no fault of its own."""
        self._left.appendleft(number)

    def blame(self, number: int, rank: int, host: str, reason: str, details: str) -> Outcome[Job, Value] | None:
        """Take in that a rank died at a job; return what has come of that, None if it is to be tried once more.

        Then it comes last: if it kills again, it holds up as few of the others as can be.

        Args:
            reason: how the rank died.
            details: what its log ended with.
        """
        self._deaths[number] += 1
        self._killed[number] = rank
        if self._deaths[number] < DEADLY:
            self._left.append(number)
            return None
        error = f"given up after {self._deaths[number]} ranks died at it; the last: {reason}"
        return self._keep(number, error=error, rank=rank, host=host, details=details)

    def give_up(self, reason: str) -> list[Outcome[Job, Value]]:
        """Leave undone what waits for a rank; return what has come of these jobs."""
        given_up = [self._keep(number, error=f"not done: {reason}") for number in self._left]
        self._left.clear()
        return given_up

    def _keep(self, number: int, **fields: Any) -> Outcome[Job, Value]:  # noqa: ANN401
        outcome: Outcome[Job, Value] = Outcome(self._jobs[number], number=number, **fields)
        self._outcomes[number] = outcome
        return outcome
