"""The job: what to render and how. It imports nothing of mpirender but the errors.

``render_job.RenderJob`` is the job; ``options`` says what its fields may be, ``outputs``, ``frames`` and ``sweep`` what
it renders, ``programs`` with which programs, ``origin`` what its files tell about it.
"""

__all__ = ["frames", "options", "origin", "outputs", "paths", "programs", "render_job", "sweep"]
