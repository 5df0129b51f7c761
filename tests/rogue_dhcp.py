"""A DHCP server that answers everybody with nonsense: ``python rogue_dhcp.py INTERFACE SEED``.

Valid but for what was changed in them (RFC 2131, section 2): lengths that point past the end, options
that never end, addresses that are none, pieces missing; and bytes that were never a message.
"""

from __future__ import annotations

import random
import socket
import struct
import sys

ANSWERS = 40
MAGIC = bytes.fromhex("63825363")


def reply(question: bytes, kind: int) -> bytes:
    """An offer (2) or acknowledgement (5) of 192.0.2.66 by 192.0.2.6, as it should be."""
    fixed = struct.pack(
        "!BBBBIHH4s4s4s4s",
        2,
        1,
        6,
        0,
        *struct.unpack("!I", question[4:8]),
        0,
        0x8000,
        bytes(4),
        bytes([192, 0, 2, 66]),
        bytes([192, 0, 2, 6]),
        bytes(4),
    )
    options = bytes(
        [53, 1, kind, 54, 4, 192, 0, 2, 6, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255]
    )
    return fixed + question[28:44] + bytes(192) + MAGIC + options


def spoiled(message: bytes, chance: random.Random) -> bytes:
    """The same with something wrong."""
    spoilt = bytearray(message)
    match chance.randrange(6):
        case 0:
            return bytes(spoilt[: chance.randrange(len(spoilt))])
        case 1:
            return chance.randbytes(chance.randrange(1500))
        case 2:
            # The options: lengths past the end, none, and kinds that nobody knows.
            spoilt[240:] = chance.randbytes(chance.randrange(300))
        case 3:
            spoilt[241 + chance.randrange(12)] = chance.randrange(256)
        case 4:
            for _ in range(8):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        case _:
            # Nobody's subnet, no time at all, and a router that is no address.
            spoilt[240:] = bytes([53, 1, 2, 1, 4, 0, 0, 0, 1, 51, 4, 0, 0, 0, 0, 3, 3, 1, 1, 1])
    return bytes(spoilt)


def main() -> None:
    """Answer until killed."""
    chance = random.Random(int(sys.argv[2]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        served.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        served.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
        served.bind(("", 67))
        print("ready", flush=True)
        while True:
            question = served.recv(2000)
            for _ in range(ANSWERS):
                answer = spoiled(reply(question, chance.choice((2, 5, 6))), chance)
                served.sendto(answer, ("255.255.255.255", 68))


if __name__ == "__main__":
    main()
