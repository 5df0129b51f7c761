"""A network, a web server on it, a client that finds it by name, and a published port."""

import sys
import time
import urllib.request

from netyard import Container, Network

FETCH = "import urllib.request as u; print(u.urlopen('http://web:8000').status)"

with (
    Network.create("my-net") as net,
    Container.run(
        *(sys.executable, "-m", "http.server", "8000", "--directory", "/usr/share"),
        name="web",
        network=net.name,
        publish=["8080:8000"],
    ) as web,
    Container.run("sleep", "600", name="client", network=net.name) as client,
):
    deadline = time.monotonic() + 10
    while b"200" not in client.exec(sys.executable, "-c", FETCH).stdout:
        assert time.monotonic() < deadline, "the server did not come up"
    print("client reached web by name")
    print("published:", *(f"{inside} -> {outside}" for inside, outside in web.ports()))
    print("from the host:", urllib.request.urlopen("http://127.0.0.1:8080").status)
