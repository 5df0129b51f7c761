"""Names for containers that were given none: an adjective and a pioneer of networking."""

from __future__ import annotations

import os

_ADJECTIVES = (
    "able agile bold brave bright calm clever cosmic crisp daring deft eager early fair fleet fond "
    "gentle glad grand happy humble jolly keen kind lively loyal lucid mellow merry mild neat "
    "noble patient plucky polite prompt proud quick quiet rapid ready sharp silent smart snug "
    "solid steady sunny swift tidy true vivid warm wise witty zesty"
).split()
_PEOPLE = (
    "abramson baran berners bosack braden cerf clark cohen crocker davies deering dijkstra diffie "
    "estrin farber feinler floyd hauben heart hellman holz hopper jacobson kahn karn kleinrock "
    "lamarr lerner licklider lovelace metcalfe mills mockapetris morris partridge perlman postel "
    "pouzin rekhter roberts salus shannon strazisar taylor tomlinson turing vixie zimmermann"
).split()


def random_name() -> str:
    """A name such as ``quick_perlman``."""
    return f"{_one_of(_ADJECTIVES)}_{_one_of(_PEOPLE)}"


def _one_of(words: list[str]) -> str:
    # Not `secrets`, which takes longer to load than a container to attach.
    return words[int.from_bytes(os.urandom(4), "big") % len(words)]
