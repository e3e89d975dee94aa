"""The files of test patterns: what is wrong with one is said before anything is rendered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mpirender.engines import pattern_file
from mpirender.errors import UsageError
from processes import Run

WRONG: dict[str, tuple[Any, ...]] = {
    "seconds": ("", None, -1, 10**9, 10**400, float("nan"), True, {}, ["x", 0.1], [None], [[0.1]]),
    "picture": ("", None, 1, [], {}, "a\0b", "\ud800"),
    "fail": (1, "x", None, {}, [1.5], ["1"], [None], [[]], [True]),
    "flaky": (1,), "hang": (2,), "kill": ("x",),
    "how": (None, [], -1, 256, "SIGNOTHING", "", "²", "1.5", "9" * 5000, True),
    "kill_load": ([], 1, {"0": 1}, {"0": ["x"]}),
    "grow": (-1, 0.5, "x", None, 10**400, [1]),
    "say": (None, 1, [], "\udcff"),
    "data": ("x", {}, [1], [None], [""]),
    "remembers": ("", None, "all", [], 1),
}  # fmt: skip
RIGHT: tuple[dict[str, Any], ...] = (
    {"seconds": 0}, {"seconds": [0, 0.5]}, {"how": "SIGSEGV"}, {"how": 3}, {"how": "3"}, {"kill_load": {"1": [2]}},
    {"grow": 90}, {"say": "é\x1b"}, {"remembers": "order"}, {"fail": [], "data": ["a", "b"]}, {"unknown": None},
)  # fmt: skip


@pytest.mark.parametrize("key", pattern_file.SETTINGS)
def test_a_value_of_a_wrong_type_is_named(key: str) -> None:
    for value in WRONG[key]:
        with pytest.raises(UsageError) as error:
            pattern_file.read(json.dumps({key: value}).encode(), "a.pattern")
        assert error.value.message.startswith(f"a.pattern: {key} is not "), value


@pytest.mark.parametrize("settings", RIGHT)
def test_what_fits_is_read(settings: dict[str, Any]) -> None:
    assert pattern_file.read(json.dumps(settings).encode(), "a.pattern") == settings


@pytest.mark.parametrize(
    "content", ["[]", "{", "[" * 100_000, '{"frames": true}', '{"frames": "3"}', '{"frames": 1.5}']
)
def test_what_is_no_pattern_is_refused(content: str) -> None:
    with pytest.raises(UsageError, match=r"^a\.pattern: not a test pattern"):
        pattern_file.read(content.encode(), "a.pattern")


def test_all_mistakes_are_named_before_anything_is_rendered(
    run: Run, pattern: Callable[..., Path], tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 3, "seconds": "x", "fail": 1, "how": "SIGNOTHING"}'))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mpirender: error: test.pattern: seconds is not a number of seconds from 0 to 1e+06, or a list of them",
        "mpirender: error: test.pattern: fail is not a list of frames such as [2, 3]",
        "mpirender: error: test.pattern: how is not a signal such as SIGKILL, or an exit code from 0 to 255",
    ]
    assert not (tmp_path / "test_renders").exists()


def test_each_list_has_a_value_for_each_frame(run: Run, pattern: Callable[..., Path]) -> None:
    done = run("inspect", pattern('{"frames": 3, "seconds": [0.1], "data": ["a", "b"]}'))
    assert done.returncode == 2
    assert "test.pattern: gives seconds for 1 of 3 frames; give one value per frame" in done.stdout
    assert "test.pattern: gives data for 2 of 3 frames; give one value per frame" in done.stdout


def test_a_picture_that_is_no_image_is_refused(run: Run, pattern: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no image")
    done = run("render", pattern('{"frames": 3, "picture": "notes"}'))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mpirender: error: test.pattern: its picture notes cannot be read; give an image such as a PNG"
    ]
