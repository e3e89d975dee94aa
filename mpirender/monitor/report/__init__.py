"""The page about a run, ``report.html``: one file that needs no network, made from the journals alone.

``reading`` sums up the journals; ``facts``, ``images`` and ``timeline`` collect what the page shows, with ``pictures``
for small copies of frames and ``charts`` for lines; ``page`` fills in the template (``page.html.jinja``, ``page.css``),
and ``writing`` writes the file.
"""

__all__ = ["pictures", "writing"]
