"""The renderer process of a rank: orders and their errors, how it dies, and what its rank learns of that."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpirender.errors import NoSpace, RendererFailed, UsageError
from mpirender.ranks.log import redirect_output
from mpirender.ranks.reloading import MAX_LOSSES, MAX_LOSSES_AT_WORK, ReloadingRenderer
from mpirender.ranks.renderer import Renderer, RendererLost
from mpirender.ranks.renderer_process import EngineError
from mpirender.system import current_file, host, stall
from waiting import wait_for


class Target:
    """Orders for the tests."""

    def __init__(self, *kept: int) -> None:
        self.done: list[str] = []
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # pytest has replaced them

    def note(self, what: str) -> list[str]:
        self.done.append(what)
        return self.done

    def environ(self) -> dict[str, str]:
        return dict(os.environ)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self, how: int) -> None:
        """Die of a signal (negative), or with an exit code."""
        if how < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), -how)
        os._exit(how)

    def hang_in_crash(self) -> None:
        """Crash with a handler that never returns, as one that prints a backtrace when the allocator is locked."""
        libc = ctypes.CDLL(None)
        libc.signal(signal.SIGABRT, libc.pause)
        os.abort()

    def read(self, path: str) -> None:
        current_file.note(path)
        os._exit(3)

    def end_once(self, place: str) -> str:
        if not Path(place).exists():
            Path(place).touch()
            os._exit(3)
        return "done"

    def fork_and_end(self) -> None:
        """Leave a process that keeps all open files."""
        if os.fork():
            os._exit(3)
        time.sleep(30)

    def say(self, text: str, log: str = "") -> None:
        if log:
            redirect_output(Path(log))
        print(text)

    def fill(self, count: int) -> int:
        return len(bytearray(b"x") * count)

    def fail(self, kind: str) -> None:
        raise {
            "usage": UsageError(["frame 3 is missing", "--samples does not apply"]), "space": NoSpace(Path("/out")),
            "os": OSError(errno.ENOSPC, "No space left on device", "/out/frame.png"), "value": ValueError("no array p"),
            "system": RuntimeError("(1,) is no file"),
        }[kind]  # fmt: skip


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    renderer = Renderer(Target)
    yield renderer
    renderer.close()


def test_orders_are_carried_out_one_after_the_other_by_the_same_process(renderer: Renderer) -> None:
    renderer.begin("note", "a")
    assert renderer.call("note", "b") == ["a", "b"]
    renderer.replace()
    assert renderer.call("note", "c") == ["c"]


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("usage", UsageError, "frame 3 is missing\n--samples does not apply"),
        ("space", NoSpace, "/out: no space left on the disk"),
        ("os", OSError, "[Errno 28] No space left on device: '/out/frame.png'"),
        ("value", EngineError, "ValueError: no array p"),
        ("system", EngineError, "RuntimeError: (1,) is no file"),
    ],
)
@pytest.mark.parametrize("answers", [True, False])
def test_errors_arrive_as_themselves_and_the_renderer_goes_on(
    renderer: Renderer, kind: str, error: type[Exception], text: str, answers: bool
) -> None:
    with pytest.raises(error) as caught:
        if not answers:
            renderer.begin("fail", kind)  # the next order brings the error
        renderer.call(*(("fail", kind) if answers else ("note", "not carried out")))
    assert type(caught.value) is error
    assert getattr(caught.value, "message", str(caught.value)).startswith(text)
    assert getattr(caught.value, "errno", errno.ENOSPC) == errno.ENOSPC
    assert renderer.call("note", "next") == ["next"]


@pytest.mark.parametrize(
    ("how", "reason", "blameless"),
    [
        (-signal.SIGSEGV, "died (signal SIGSEGV)", False),
        (-signal.SIGABRT, "died (signal SIGABRT)", False),
        (-signal.SIGKILL, "died (signal SIGKILL)", True),
        (0, "died (exit code 0)", False),
        (3, "died (exit code 3)", False),
    ],
)
def test_how_a_renderer_died_is_known(renderer: Renderer, how: int, reason: str, blameless: bool) -> None:
    with pytest.raises(RendererLost) as caught:
        renderer.call("end", how)
    assert (caught.value.reason, caught.value.blameless) == (reason, blameless)
    renderer.replace()
    assert renderer.call("note", "a") == ["a"]


def test_a_renderer_that_was_killed_while_memory_ran_out_is_to_blame(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of the kernel is replaced, since using up the memory would harm other processes."""
    monkeypatch.setattr(host, "oom_kills", lambda: 10**6)
    with pytest.raises(RendererLost) as caught:
        renderer.call("end", -signal.SIGKILL)
    assert (caught.value.reason, caught.value.blameless) == ("was killed because memory ran out", False)


def test_the_kernel_tells_how_many_processes_it_killed_for_memory_and_takes_a_renderer_first(
    renderer: Renderer,
) -> None:
    assert host.oom_kills() >= 0
    renderer.call("note", "a")
    assert int(Path(f"/proc/{renderer.pid}/oom_score_adj").read_text()) == host.OOM_SCORE


def test_a_death_is_noticed_although_a_process_of_the_renderer_keeps_its_files_open(renderer: Renderer) -> None:
    with pytest.raises(RendererLost, match="died \\(exit code 3\\)"):
        renderer.call("fork_and_end", limit=20)


def test_the_file_that_a_renderer_read_when_it_died_is_known(renderer: Renderer) -> None:
    with pytest.raises(RendererLost, match=r"died \(exit code 3\) while it read /data/step_1.ply"):
        renderer.call("read", "/data/step_1.ply")
    renderer.replace()
    with pytest.raises(RendererLost, match=r"died \(exit code 3\)$"):
        renderer.call("end", 3)


def test_a_renderer_that_died_before_an_order_is_lost_with_it(renderer: Renderer) -> None:
    renderer.begin("end", 3)
    wait_for(lambda: not Path(f"/proc/{renderer.pid}").exists(), 10)
    renderer.begin("note", "b")
    with pytest.raises(RendererLost, match="exit code 3"):
        renderer.call("note", "c")


def test_a_renderer_that_takes_longer_than_its_limit_is_ended(renderer: Renderer) -> None:
    renderer.duties = lambda: 0.05
    pid = renderer.pid
    with pytest.raises(RendererLost) as caught:
        renderer.call("sleep", 60, limit=0.3)
    assert (caught.value.reason, caught.value.blameless) == ("took longer than 0.3 s and was ended", False)
    assert not Path(f"/proc/{pid}").exists()


def test_a_renderer_that_someone_stops_is_ended_and_its_image_is_not_to_blame(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "STOPPED_SECONDS", 0.5)
    monkeypatch.setattr(stall, "LOOK_SECONDS", 0.2)
    renderer.duties = lambda: 0.05
    renderer.call("note", "a")
    os.kill(renderer.pid, signal.SIGSTOP)
    with pytest.raises(RendererLost, match="was stopped by a signal") as caught:
        renderer.call("note", "b", limit=60)
    assert caught.value.blameless
    renderer.replace()
    assert renderer.call("note", "c") == ["c"]


def test_the_rank_does_its_duties_while_the_renderer_works(renderer: Renderer) -> None:
    done: list[float] = []

    def duties() -> float:
        done.append(time.monotonic())
        return 0.01

    renderer.duties = duties
    renderer.call("sleep", 0.5)
    assert len(done) > 10
    renderer.duties = lambda: 60.0
    renderer.call("sleep", 0.1)  # an answer ends the pause


def test_a_renderer_has_no_variables_of_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """With them its libraries would take it for a rank. SLURM_JOB_ID stays: scripts may read it."""
    launcher = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "HYDI_CONTROL_FD", "HYD_X", "PRTE_X")
    for name in (*launcher, "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "1")
    renderer = Renderer(Target)
    found = renderer.call("environ")
    renderer.close()
    kept = [name for name in found if name.startswith(("OMPI_", "PMI", "HYD", "PRTE"))]
    assert kept == ["OMPI_MCA_ess_singleton_isolated"]
    assert found["SLURM_JOB_ID"] == "1"
    assert os.environ["OMPI_COMM_WORLD_RANK"] == "1"


def test_the_variables_changed_since_its_start_are_known(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.delenv("PATH")
    changed = renderer.environment
    changed.pop("PYTEST_CURRENT_TEST")
    assert changed == {"DISPLAY": ":7", "PATH": None}


def test_a_renderer_that_hangs_in_the_handler_of_its_crash_is_lost_after_a_few_seconds(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "CRASH_SECONDS", 0.5)
    with pytest.raises(RendererLost) as caught:
        renderer.call("hang_in_crash", limit=20)
    assert caught.value.reason == "died (signal SIGABRT), hung while it printed a backtrace, and was ended"


def test_what_it_prints_before_it_knows_its_log_appears_when_it_ends(
    renderer: Renderer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    renderer.begin("say", "warming up")
    with pytest.raises(RendererLost) as caught:
        renderer.call("end", 3)
    assert caught.value.log == ("warming up",)
    assert capfd.readouterr().err == "warming up\n", "the output of this process, which is the rank's log"
    renderer.replace()
    renderer.log = tmp_path / "rank.log"
    renderer.call("say", "loading", str(renderer.log))
    with pytest.raises(RendererLost) as caught:
        renderer.call("end", 3)
    assert caught.value.log == ("loading",)
    assert capfd.readouterr().err == ""
    assert (tmp_path / "rank.log").read_text() == "loading\n"


def test_its_memory_is_known_and_the_peak_of_all_renderers_of_a_rank(renderer: Renderer) -> None:
    before = renderer.memory()
    assert renderer.call("fill", 100_000_000) == 100_000_000
    peak = renderer.peak
    assert peak > before + 90_000_000
    assert renderer.memory() < peak - 50_000_000, "it was freed"
    renderer.replace()
    renderer.call("note", "a")
    assert renderer.peak == peak


Lost = list[tuple[str, object]]


@pytest.fixture
def losses() -> Lost:
    return []


@pytest.fixture
def reloading(renderer: Renderer, losses: Lost) -> ReloadingRenderer:
    return ReloadingRenderer(renderer, lambda lost, work: losses.append((lost.reason, work)))


def test_the_next_renderer_gets_the_orders_again_that_make_it_ready(reloading: ReloadingRenderer, losses: Lost) -> None:
    reloading.make_ready("note", "job")
    reloading.make_ready("note", "scene")
    with pytest.raises(RendererLost):
        reloading.attempt("frame 3", "end", 3, limit=None)
    assert losses == [("died (exit code 3)", "frame 3")]
    assert not reloading.is_ready
    assert reloading.ask("note", "frame 4") == ["job", "scene", "frame 4"]


def test_an_order_during_which_the_renderer_is_lost_is_given_to_the_next(
    reloading: ReloadingRenderer, losses: Lost, tmp_path: Path
) -> None:
    reloading.make_ready("note", "job")
    assert reloading.ask("end_once", str(tmp_path / "ended")) == "done"
    assert reloading.results == [["job"]]
    assert losses == [("died (exit code 3)", None)]


def test_a_renderer_that_cannot_be_made_ready_is_given_up(reloading: ReloadingRenderer, losses: Lost) -> None:
    with pytest.raises(RendererFailed, match=rf"^{MAX_LOSSES} renderers in a row were lost; the last one died"):
        reloading.make_ready("end", 3)
    assert losses == [("died (exit code 3)", None)] * MAX_LOSSES


def test_a_rank_whose_renderer_is_lost_with_every_image_gives_up_but_one_success_resets_the_count(
    reloading: ReloadingRenderer, losses: Lost
) -> None:
    def lose(times: int) -> None:
        for _ in range(times):
            reloading.make_ready()
            with pytest.raises(RendererLost):
                reloading.attempt("image", "end", 3, limit=None)

    reloading.make_ready("note", "job")
    lose(MAX_LOSSES_AT_WORK - 1)
    reloading.make_ready()
    reloading.attempt("image", "note", "frame", limit=None)
    lose(MAX_LOSSES_AT_WORK)
    with pytest.raises(RendererFailed, match=f"^{MAX_LOSSES_AT_WORK} renderers in a row were lost"):
        reloading.make_ready()
