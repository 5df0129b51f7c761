"""What hosts share: the state in etcd, and how a host takes part in it."""
