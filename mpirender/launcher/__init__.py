"""How ranks are started: placement, command line, environment, the started process, and what ended it."""
