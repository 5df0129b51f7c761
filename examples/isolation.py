"""Two networks: apart, joined by connect, apart again by disconnect, without a restart."""

from netyard import Container, Network


def reaches(client: Container, name: str) -> bool:
    """Whether a name can be resolved and answers."""
    return client.exec("ping", "-c1", "-W1", name).returncode == 0


with (
    Network.create("red") as red,
    Network.create("blue") as blue,
    Container.run("sleep", "600", name="web", network="red"),
    Container.run("sleep", "600", name="client", network="blue") as client,
):
    print("apart:", reaches(client, "web"))
    red.connect(client, aliases=["guest"])
    print("connected:", reaches(client, "web"))
    red.disconnect(client)
    print("disconnected:", reaches(client, "web"))
