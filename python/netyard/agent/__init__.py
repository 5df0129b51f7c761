"""The agent: one process a root, in which the name server of its containers runs.

It keeps nothing that matters: killed and started again it loads everything from the store.
"""
