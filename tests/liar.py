"""An upstream name server that is being impersonated, on port 53 of every address.

    liar.py TRUTH LIE

To each question come, before the answer with the address TRUTH, answers with the address LIE: with
another id, to another port, about another question, from another address, and a message that is cut
off. Names that begin with ``extra`` get, beside the answer, what was not asked: ``other.example``
has the address LIE. ``silent`` gets no answer. Every question is noted in /run/asked: port, id, name.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

TRUTH, LIE = (socket.inet_aton(address) for address in sys.argv[1:3])
# Not where we were asked, but ours.
ELSEWHERE = "203.0.113.53"


def answer(question: bytes, address: bytes, number: int, extra: bytes = b"") -> bytes:
    head = struct.pack("!6H", number, 0x8180, 1, 1, 0, 1 if extra else 0)
    return head + question + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 3600, 4) + address + extra


def record(name: bytes, address: bytes) -> bytes:
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\0"
    return labels + struct.pack("!HHIH", 1, 1, 3600, 4) + address


def main() -> None:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for each in (own, other):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("0.0.0.0", 53))
    other.bind((ELSEWHERE, 53))
    with open("/run/asked", "w", buffering=1) as asked:
        while True:
            data, client = own.recvfrom(4096)
            number, end = int.from_bytes(data[:2], "big"), data.index(0, 12) + 5
            question, name = data[12:end], data[13 : end - 5]
            asked.write(f"{client[1]} {number} {name.decode(errors='replace')}\n")
            if name.startswith(b"silent"):
                continue
            for wrong in (1, 0x100, 0xFFFF):
                own.sendto(answer(question, LIE, number ^ wrong), client)
            for port in (client[1] ^ 1, client[1] ^ 2):
                own.sendto(answer(question, LIE, number), (client[0], port))
            own.sendto(answer(record(b"www.other", b"")[:11] + question[-4:], LIE, number), client)
            other.sendto(answer(question, LIE, number), client)
            own.sendto(answer(question, LIE, number)[:20], client)
            time.sleep(0.05)
            extra = record(b"other.example", LIE) if name.startswith(b"extra") else b""
            own.sendto(answer(question, TRUTH, number, extra), client)


main()
