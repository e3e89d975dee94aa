"""One run of a job: check it, start its ranks, watch them, restart them, and report the result.

``run.render`` is the whole run. ``preflight`` checks the job before, ``memory_estimate`` and ``disk_estimate`` warn,
``retry_policy`` decides what to try again after a death, ``crash_recovery`` carries it out for images, ``early_end``
ends a launch or the run for its price, a notice of the cloud, or more nodes (``growth``); ``timings`` and ``result``
say how the run ended. ``sample`` renders a few frames of a run and measures them (``movie_trial`` the movie), from
which ``estimate`` predicts the whole, and ``estimate_report`` says what it costs; ``alternatives`` measures
other options.
"""

__all__ = [
    "alternatives", "crash_recovery", "disk_estimate", "early_end", "estimate", "estimate_report", "growth",
    "memory_estimate", "preflight", "result", "retry_policy", "run", "sample", "timings",
]  # fmt: skip
