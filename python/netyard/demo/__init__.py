"""Demonstrations: netyard at work on a throw-away machine. `stage` is theirs all."""
