"""The jobs of a pool: which wait for a rank, which rank may take which, and their outcomes."""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Union, cast

from mpirender.errors import JobFailed, one_line
from mpirender.pool.messages import Result, Task, describe, traceback_of
from mpirender.pool.pickling import Main, loads
from mpirender.run_folder.events import Note
from mpirender.supervisor.retry_policy import RetryPolicy

Job = TypeVar("Job")
Value = TypeVar("Value")

LONGEST_NAME = 80  # characters


@dataclass(frozen=True)
class Outcome(Generic[Job, Value]):
    """The outcome of a job."""

    job: Job  # the job as it was given
    value: Value | None = None  # the return value of the function; None if it failed, or if it returned None
    error: str = ""  # what went wrong, in one line; empty for nothing
    rank: int | None = None  # the rank that did the job, None if no rank took it
    host: str = ""  # the host of that rank
    seconds: float = 0.0  # run time of the function
    number: int = 0  # place of the job among all, from 0
    details: str = field(default="", repr=False)  # the traceback, or the end of the log of a rank that died

    def get(self) -> Value:
        """Return the value.

        :raises JobFailed: there is none; the message names the job, the error and the rank, the cause holds the
            traceback.
        """
        if not self.error:
            return cast(Value, self.value)
        where = f" (rank {self.rank} on {self.host})" if self.rank is not None else ""
        raise JobFailed(f"{self.name}: {self.error}{where}") from (Remote(self.details) if self.details else None)

    @property
    def name(self) -> str:
        """Number and value of the job, shortened."""
        return name_of(self.number, self.job)


@dataclass(frozen=True)
class RankReady:
    """A rank is ready for jobs."""


@dataclass(frozen=True)
class JobEnded:
    """A job has ended, with this outcome."""

    outcome: Outcome[Any, Any]


PoolEvent = Union[RankReady, JobEnded, Note]
PoolWatch = Callable[[Sequence[PoolEvent]], None]  # is called with the events since the last call


class Remote(Exception):
    """The cause of an error that a rank reported; its text is the traceback in that rank."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def name_of(number: int, job: object) -> str:
    """Return a job as its number and a short form of its value."""
    text = one_line(reprlib.repr(job) if isinstance(job, (list, tuple, dict, set)) else repr(job))
    return f"job {number} ({text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + '…'})"


class TaskQueue(Generic[Job, Value]):
    """All jobs of a pool, with each pickled, and their outcomes; ``main`` is the program that the user started."""

    def __init__(self, jobs: Sequence[Job], packed: Sequence[bytes], main: Main, policy: RetryPolicy[int]) -> None:
        self.policy = policy
        self._jobs, self._packed, self._main = jobs, packed, main
        self._outcomes: dict[int, Outcome[Job, Value]] = {}
        self._waiting = deque(range(len(jobs)))

    @property
    def outcomes(self) -> list[Outcome[Job, Value]]:
        """The outcomes so far, in the order of the jobs."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    @property
    def total(self) -> int:
        """Number of all jobs."""
        return len(self._jobs)

    @property
    def finished(self) -> bool:
        """Whether every job has an outcome."""
        return len(self._outcomes) == self.total

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for a rank."""
        return len(self._waiting)

    def take(self, rank: int, *, only_rank: bool) -> Task | None:
        """Return the next job for a rank, None if there is none that it may take; the only rank may take any."""
        for number in self._waiting:
            if only_rank or self.policy.may_try(number, rank):
                self._waiting.remove(number)
                return Task(number, self._packed[number])
        return None

    def finish(self, result: Result, rank: int, host: str) -> Outcome[Job, Value]:
        """Record the result of a job and return its outcome."""
        got: dict[str, Any] = {"error": result.error, "details": result.details}
        if result.value is not None:
            try:
                got = {"value": loads(result.value, self._main.in_caller)}
            except Exception as problem:
                error = f"the return value of the function cannot be read here: {describe(problem)}"
                got = {"error": error, "details": traceback_of(problem)}
        return self._record(result.number, rank=rank, host=host, seconds=result.seconds, **got)

    def retry_or_fail(self, number: int, rank: int, host: str, details: str) -> Outcome[Job, Value] | None:
        """Let a job wait again that its rank has lost, or return its outcome if it was set aside.

        One that is blamed waits behind all others: if it is lost again, few other jobs are affected.
        """
        if error := self.policy.set_aside.get(number):
            return self._record(number, error=error, rank=rank, host=host, details=details)
        if number in self.policy.suspects:
            self._waiting.append(number)
        else:
            self._waiting.appendleft(number)
        return None

    def name(self, number: int) -> str:
        """Return a job as its number and a short form of its value."""
        return name_of(number, self._jobs[number])

    def give_up(self, reason: str) -> list[Outcome[Job, Value]]:
        """Fail the jobs that wait for a rank; return their outcomes."""
        given_up = [self._record(number, error=f"not done: {reason}") for number in self._waiting]
        self._waiting.clear()
        return given_up

    def _record(self, number: int, **fields: Any) -> Outcome[Job, Value]:  # noqa: ANN401
        outcome: Outcome[Job, Value] = Outcome(self._jobs[number], number=number, **fields)
        self._outcomes[number] = outcome
        return outcome
