"""Cannot be imported."""

raise RuntimeError("no such library on this machine")
