"""Requests of commands to the agent: the wire format, and the functions that send them."""
