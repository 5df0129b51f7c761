"""The agent: one process a root, with the name server, DHCP leases and the connection to etcd.

Started by `netyard.ipc.agent`, which also has the commands' side of its socket. It holds no state
of its own: after a kill, the next agent loads everything from the store.
"""
