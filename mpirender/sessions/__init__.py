"""Interactive ParaView servers: a session is a pvserver on this machine or in a Slurm job, and its records.

``serve`` runs a session where it is called, ``job`` submits one to Slurm, and ``records`` holds what both write down.
``rank`` runs inside pvbatch, so this package imports nothing when it is imported.
"""

__all__ = ["desktop", "follow", "job", "mail", "records", "relay", "resources", "serve", "server", "session", "texts"]
