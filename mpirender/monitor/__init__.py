"""What people see of a run: progress, status, summary, contact sheet and tables.

``progress`` follows a run from inside, ``status`` from any machine that sees the folder, and ``phases`` names what it
does; ``estimate_text`` says what a run will take; ``summary``, ``image_table``, ``rank_table`` and ``sweep_report``
describe a run that has ended, ``report`` is a page about a run, ``whence`` describes one of its files;
``notice`` tells a user of the ``ending`` of a run.
"""

__all__ = [
    "contact_sheet", "ending", "estimate_text", "image_table", "notice", "phases", "progress", "rank_table", "report",
    "status", "summary", "sweep_report", "whence",
]  # fmt: skip
