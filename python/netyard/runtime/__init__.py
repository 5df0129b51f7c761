"""Processes of containers: started by the shim, signalled, with users, capabilities and logs."""
