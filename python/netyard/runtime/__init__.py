"""Processes beside containers: the shim, what it is told and what it tells."""
