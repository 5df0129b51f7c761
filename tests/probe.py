"""Ask many servers at once: ``probe.py JSON``, a list of protocol, address and port.

Prints a JSON list of what they answered; null for one that did not within a second.
"""

import json
import socket
import sys
import threading

targets = json.loads(sys.argv[1])
answers = [None] * len(targets)


def ask(at, protocol, address, port):
    """Ask one server."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.settimeout(1)
    try:
        sock.connect((address, port))
        if protocol == "udp":
            sock.send(b"hello")
        answers[at] = sock.recv(999).decode()
    except TimeoutError:
        pass
    except OSError as error:
        answers[at] = f"refused {error.errno}"


threads = [threading.Thread(target=ask, args=(at, *each)) for at, each in enumerate(targets)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
