"""The state that hosts share in etcd: its entries, transactions on them, and watches.

Knows nothing of the kernel or the agent; what commands ask the agent about it is
`netyard.ipc.cluster`.
"""
