"""Name resolution of containers: names, views and files are computed here; `rust/dns` answers."""
