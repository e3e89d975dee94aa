"""Write events as records, and reject invalid records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sample_events
from mpirender.job.outputs import Image
from mpirender.run_folder import events, journal
from mpirender.run_folder.event_fields import Unsound
from mpirender.run_folder.event_values import Cost, File, Inputs, Process
from mpirender.run_folder.events import SUPERVISOR

EVENTS = [
    sample_events.start(3, 1.5, followers=(Process(4, "n2", 77),)),
    sample_events.plan(3, parts={"options": {"deep": [1, None]}}, warnings=("a",), skipped=2),
    sample_events.at(events.Phase("load")),
    sample_events.opened(1, backend="egl", device=0, hosts=("n1", "n2")),
    sample_events.take(0, 5),
    sample_events.done(
        0, 5, shows=("View", None), complaints=("no such file",), measured={"p max": None, "p min": -2.0}
    ),
    sample_events.done(0, 5, inputs=Inputs("a1", "0-2,7")),
    sample_events.at(events.Files("a1", 7, (File("/data/p.vtu", 12, 1_800_000_000_000_000),)), 1),
    sample_events.fail(1, 6, attempt=2, set_aside=True),
    sample_events.fail(1, 6, attempt=3, blameless=True),
    sample_events.at(events.Reload("died (signal SIGSEGV)", Image(3, "HD"), ("no array p",)), 1),
    sample_events.at(events.Reload("renewed after 5 images (--renew-renderer)", planned=True), 1),
    sample_events.at(events.Beat(), 1),
    sample_events.at(events.Survey("abc", {"p": (-1.0, 2.5)})),
    sample_events.at(events.Error(4, "FramesMissing", "frame 3 is missing")),
    sample_events.at(events.Made("orbit_HD.mp4", 17, "d"), 0),
    sample_events.at(events.Writer(17), SUPERVISOR),
    sample_events.at(events.Segment("HD", 1, 3, 40, 2, "", 1.25)),
    sample_events.at(
        events.Launch("r1", 2, 4, 17, ((Image(3, "HD"), "set aside"),), (Image(4, "HD"),), job="12", allocation=1),
        SUPERVISOR,
    ),
    sample_events.at(events.Death(1, "rank 0 died", ((0, Image(3, "HD")),), (Image(3, "HD"),)), SUPERVISOR),
    sample_events.at(events.Nodes(("n1", "n2"), 0.34, 20.0, 3.5, Cost(1.5, 0.51, 12)), SUPERVISOR),
    sample_events.at(events.Notice("r1", 1_800_000_000.0, "terminate"), SUPERVISOR),
    sample_events.at(events.Finish(0, "", 12.0), SUPERVISOR),
]
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_record(event: events.Event) -> None:
    assert journal.parse(journal.line(event).lstrip()) == event


def record(**fields: object) -> dict[str, object]:
    """Return the record of a completed image with these fields."""
    return {**json.loads(json.dumps(sample_events.done(1, 5).to_json())), **fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", "launched"),
        ("inputs", ["a1", "0-9x2"]),
        ("event", 7),
        ("event", ["done"]),
        ("time", "12:00"),
        ("time", None),
        ("time", True),
        ("time", float("nan")),
        ("time", float("inf")),
        ("time", -1.0),
        ("time", 253_402_300_800),  # the year 10000
        ("rank", 1_000_001),
        ("rank", -1),
        ("rank", 1.0),
        ("rank", True),
        ("host", 3),
        ("bytes", 10**400),
        ("bytes", -1),
        ("bytes", "9" * 1_000_000),
        ("bytes", 1.5),
        ("seconds", 10**400),
        ("seconds", float("inf")),
        ("seconds", -5.0),
        ("memory", None),
        ("image", [5]),
        ("image", ["5", "HD"]),
        ("image", {"frame": 5, "output": "HD"}),
        ("image", [-5, "HD"]),
        ("pixels", [1920, 1080, 3]),
        ("shows", "View"),
        ("complaints", [1]),
        ("measured", [["p max", 1.0]]),
        ("measured", {"p max": float("nan")}),
        ("measured", {"p max": "1"}),
    ],
)
def test_a_record_with_an_unreasonable_value_is_refused(field: str, value: object) -> None:
    assert isinstance(events.from_json(record()), events.Done)
    with pytest.raises(Unsound):
        events.from_json(record(**{field: value}))


@pytest.mark.parametrize("field", sorted(record()))
def test_a_record_that_lacks_a_field_is_refused(field: str) -> None:
    lacking = record()
    del lacking[field]
    if field == "rank":
        assert events.from_json(lacking).rank == SUPERVISOR
        return
    if field == "scene_time":
        assert events.from_json(lacking).scene_time is None, "journals of earlier versions lack it"
        return
    with pytest.raises(Unsound):
        events.from_json(lacking)


@pytest.mark.parametrize("value", [None, 5, "done", [], [1], {}, {"event": "done"}])
def test_what_is_no_record_is_refused(value: object) -> None:
    with pytest.raises(Unsound):
        events.from_json(value)


@pytest.mark.parametrize("frames", ["", "0-", "5,", "-3", "0-9x0", "0-99999999999", "many"])
def test_a_plan_without_a_frame_set_is_refused(frames: str) -> None:
    plan = sample_events.plan().to_json()
    assert isinstance(events.from_json(plan | {"frames": "0-9x3,12"}), events.Plan)
    with pytest.raises(Unsound):
        events.from_json(plan | {"frames": frames})


def test_a_launch_of_too_many_ranks_is_refused() -> None:
    launch = events.Launch("r1", 1, 10, 1).to_json()
    for ranks in (0, 10**7):
        with pytest.raises(Unsound):
            events.from_json(launch | {"ranks": ranks, "time": 1.0})


@pytest.mark.parametrize("text", [DEEP, f'{{"event": {DEEP}}}', '{"event": "take"', "\x00\xff", "1" * 5000])
def test_a_line_that_is_not_json_is_skipped_and_counted(tmp_path: Path, text: str) -> None:
    checked = journal.with_check(text.encode())
    (tmp_path / "rank-0000.jsonl").write_bytes(checked + journal.line(sample_events.take(0, 1)) + checked)
    tail = journal.Tail(tmp_path, from_start=True)
    assert [event.image.frame for event in tail.read()] == [1]
    assert tail.skipped == 2


def test_text_that_cannot_be_printed_is_kept_in_a_form_that_can() -> None:
    complaint = events.from_json(events.Complaint("cannot open b\udcff.vtu").to_json() | {"time": 1.0})
    assert complaint.text == "cannot open b?.vtu"
