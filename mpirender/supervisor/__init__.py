"""One run of a job: check it, start its ranks, watch them, start them again after a death, and report the result."""
