"""A server for tests: on TCP and UDP, both families, it tells each client who it seems to be.

``server.py PORT... [--only tcp|udp] [--bind ADDRESS] [--say WORD]`` answers ``WORD CLIENT-ADDRESS``.
"""

import argparse
import socket
import threading

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int, nargs="+")
parser.add_argument("--only", choices=["tcp", "udp"])
parser.add_argument("--bind")
parser.add_argument("--say", default="hello")
options = parser.parse_args()


def answer(peer):
    """The answer for a client."""
    address = peer[0].removeprefix("::ffff:")
    return f"{options.say} {address}".encode()


def serve_tcp(sock):
    """Answer each connection and close it."""
    while True:
        client, peer = sock.accept()
        with client:
            client.sendall(answer(peer))


def serve_udp(sock):
    """Answer each datagram."""
    while True:
        _, peer = sock.recvfrom(2048)
        sock.sendto(answer(peer), peer)


def open_socket(family, kind, address, port):
    """A bound socket; IPv6 sockets are for IPv6 only."""
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    return sock


addresses = [options.bind] if options.bind else ["0.0.0.0", "::"]
threads = []
for address, port in [(address, port) for address in addresses for port in options.port]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for name, kind, serve in (
        ("tcp", socket.SOCK_STREAM, serve_tcp),
        ("udp", socket.SOCK_DGRAM, serve_udp),
    ):
        if options.only in (None, name):
            try:
                sock = open_socket(family, kind, address, port)
            except OSError:
                # A container without IPv6.
                continue
            threads.append(threading.Thread(target=serve, args=(sock,), daemon=True))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
