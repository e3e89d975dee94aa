"""How ranks are started: placement, command line, environment, the started process, and what ended it.

``placement`` says how many ranks run where, ``command_line`` and ``environment`` make the command, ``process`` starts
it, ``exit_diagnosis`` explains its end, and ``probe`` checks that a launcher connects the ranks.
"""

__all__ = ["command_line", "environment", "exit_diagnosis", "placement", "probe", "process"]
