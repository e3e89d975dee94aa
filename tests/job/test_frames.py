from __future__ import annotations

import re

import pytest

from mpirender.job import frames


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3", (0, 1, 2, 3)), ("1-100x25,120", (1, 26, 51, 76, 120)), ("5", (5,)), ("3,1,2,1-3", (1, 2, 3))],
)
def test_a_frame_set_gives_its_frames_in_order_each_once(text: str, expected: tuple[int, ...]) -> None:
    assert frames.parse(text) == expected


@pytest.mark.parametrize("text", ["", " ", "a", "1-", "0--3", "1..5", "-5--1"])
def test_for_an_invalid_frame_set_the_error_shows_the_syntax(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 0-99|frames count from 0"):
        frames.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10-0", "'10-0' runs backwards; frames are rendered in their order: write 0-10"),
        ("0-3,9-5x2", "'9-5x2' runs backwards; frames are rendered in their order: write 5-9x2"),
        ("1.5", "'1.5' is not a set of frames, whose numbers are whole"),
        ("0-2.5", "'0-2.5' is not a set of frames, whose numbers are whole"),
        ("0-9999999", "10000000 frames are more than 1000000"),
        ("0-9999999:3", "10000000 frames are more than 1000000"),
        ("0-600000,1000000-1600000", "1200002 frames are more than 1000000; render them in several runs"),
        ("0-99999999999999999999", "the number of a frame is at most 9999999"),
        ("1" + "0" * 5000, "the number of a frame is at most 9999999"),
        ("٣", "is not a frame set"),
    ],
)
def test_a_frame_set_that_cannot_be_meant_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        frames.parse(text)


@pytest.mark.parametrize(("given", "text"), [([], ""), ([40, 12, 13, 15, 14], "12-15,40"), ([7], "7")])
def test_frames_are_written_as_a_short_frame_set(given: list[int], text: str) -> None:
    assert frames.text(given) == text


def test_file_names_sort_in_frame_order() -> None:
    names = [frames.file_name(frame, "png") for frame in (0, 9, 10, 999, 1000, 99999)]
    assert names == sorted(names)
