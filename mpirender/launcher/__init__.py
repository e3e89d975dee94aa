"""How ranks are started: the launch plan, the started process, and what ended it.

``launch_plan`` combines ``placement`` (how many ranks run where), ``command_line`` and ``environment``, ``probe``
checks that a launcher connects the ranks, ``process`` starts them, and ``exit_diagnosis`` explains their end.
"""

__all__ = ["command_line", "environment", "exit_diagnosis", "launch_plan", "placement", "probe", "process"]
