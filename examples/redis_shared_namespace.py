"""Redis bound to 127.0.0.1, reached by a client that shares its network namespace."""

import time

from netyard import Container

with Container.run(*"redis-server --bind 127.0.0.1 --save".split(), "", name="redis") as redis:
    deadline = time.monotonic() + 10
    while b"PONG" not in redis.exec("redis-cli", "ping").stdout:
        assert time.monotonic() < deadline, "the server did not come up"
    client = Container.run(
        *"redis-cli -h 127.0.0.1 ping".split(), name="client", network="container:redis"
    )
    with client:
        client.wait()
        print("".join(record.data.decode() for record in client.logs()), end="")
