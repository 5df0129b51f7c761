"""Frames as a container with NET_RAW can send them: in its own name, or in another's."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address, ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = IPv6Address("ff02::1")


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    """Ethernet II, or 802.3 if the kind is the length of what follows."""
    return _octets(target) + _octets(source) + struct.pack("!H", kind) + payload


def arp(source: str, target: str, sender: str, address: str, asked: str) -> bytes:
    """A reply: this address is at that MAC address (RFC 826)."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
    told = _octets(sender) + socket.inet_aton(address) + _octets(target) + socket.inet_aton(asked)
    return ethernet(source, target, 0x0806, head + told)


def _checksum(data: bytes) -> int:
    words = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def udp(source: str, target: str, sender: str, receiver: str, payload: bytes) -> bytes:
    """A datagram of either family, to port 9."""
    one, other = ip_address(sender), ip_address(receiver)
    datagram = struct.pack("!HHHH", 9999, 9, 8 + len(payload), 0) + payload
    if one.version == 6:
        head = struct.pack("!IHBB", 0x60000000, len(datagram), 17, 64) + one.packed + other.packed
        return ethernet(source, target, 0x86DD, head + datagram)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 7, 0, 64, 17, 0)
    whole = head + one.packed + other.packed
    whole = whole[:10] + struct.pack("!H", _checksum(whole)) + whole[12:]
    return ethernet(source, target, 0x0800, whole + datagram)


def _icmp6(source: str, target: str, sender: str, receiver: IPv6Address, message: bytes) -> bytes:
    own = ip_address(sender).packed
    pseudo = own + receiver.packed + struct.pack("!IHBB", len(message), 0, 0, 58)
    summed = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    head = struct.pack("!IHBB", 0x60000000, len(message), 58, 255) + own + receiver.packed
    return ethernet(source, target, 0x86DD, head + summed)


def router_advertisement(source: str, sender: str) -> bytes:
    """A default router and a prefix, 2001:db8:bad::/64 (RFC 4861 §4.2)."""
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0)
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    message += prefix + IPv6Address("2001:db8:bad::").packed
    return _icmp6(source, "33:33:00:00:00:01", sender, ALL_NODES, message)


def neighbour_advertisement(source: str, sender: str, about: str) -> bytes:
    """Unasked: this address is at that MAC address, and override what you know (RFC 4861 §4.4)."""
    message = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + ip_address(about).packed
    message += struct.pack("!BB", 2, 1) + _octets(source)
    return _icmp6(source, "33:33:00:00:00:01", sender, ALL_NODES, message)


def spanning_tree(source: str) -> bytes:
    """A configuration BPDU of somebody who would be root (IEEE 802.1D §9.3.1)."""
    body = bytes.fromhex("424203") + bytes(5) + bytes(8) + bytes(4) + bytes(8) + bytes(10)
    return ethernet(source, "01:80:c2:00:00:01", len(body), body)


def tagged(source: str, target: str) -> bytes:
    """A frame of VLAN 5."""
    return ethernet(source, target, 0x8100, struct.pack("!HH", 5, 0x0800) + bytes(46))
