"""An existing network namespace on a netyard network, with a static address and a port."""

import sys

from netyard import AddressInUse, Container, Network

path = sys.argv[1]

with (
    Network.create("lab-net", subnet="10.123.0.0/24", ip_range="10.123.0.128/25") as net,
    Container.adopt(
        "lab", netns=path, network="lab-net", ip="10.123.0.7", publish=["8080:80"]
    ) as lab,
):
    print(lab.inspect()["NetworkSettings"]["Networks"]["lab-net"]["IPAddress"])
    print(*(f"{inside} -> {outside}" for inside, outside in lab.ports()))
    try:
        Container.run("true", network="lab-net", ip="10.123.0.7")
    except AddressInUse as error:
        print("refused:", error)
print("given back")
