"""Peppered hashes: what is kept of a secret that a person remembers, and so can be guessed.

A four-digit PIN has ten thousand values: salt and slowness alone do not keep it.  So the secret is keyed with the
engine's pepper first, which lies in the key file and never beside the data: who has the data and not that file tries
for nothing.  Then argon2id (RFC 9106) makes a try dear for whoever has both.

Each call takes tens of milliseconds and as much memory as MEMORY_KIB says: never on the loop, and never in a change.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A try takes 44 ms of a processor at the least (the best of seven on a virtual machine of two), and 20 ms are wanted.
PASSES: Final = 3
MEMORY_KIB: Final = 24 * 1024
LANES: Final = 1
SALT_OCTETS: Final = 16
HASH_OCTETS: Final = 32

# So that a crowd of tries takes neither all processors nor all memory: the next ones wait.
_HASHERS: Final = ThreadPoolExecutor(2, "carillon-hashes")


def _keyed(pepper: bytes, purpose: bytes, secret: str) -> bytes:
    """What stands for `secret` and is worth nothing without the pepper; another one for each purpose."""
    key = hashlib.blake2b(b"carillon " + purpose, key=pepper, digest_size=32).digest()
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=key, digest_size=32).digest()


def hashed(pepper: bytes, purpose: bytes, secret: str, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """What is kept: argon2's own text, which names its parameters, so that later ones may differ."""
    salt = random(SALT_OCTETS)
    kept = hash_secret(_keyed(pepper, purpose, secret), salt, PASSES, MEMORY_KIB, LANES, HASH_OCTETS, Type.ID)
    return kept.decode("ascii")


def is_right(pepper: bytes, purpose: bytes, secret: str, kept: str) -> bool:
    """Whether `kept` was made of `secret`; compared in constant time.  Takes as long where nothing is kept."""
    if not kept:
        hashed(pepper, purpose, secret)
        return False
    try:
        return verify_secret(kept.encode("ascii", "replace"), _keyed(pepper, purpose, secret), Type.ID)
    except (VerificationError, InvalidHashError):
        return False


async def aside(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """`work(*args)`, where it holds up neither the loop nor the writer; two at a time."""
    return await asyncio.get_running_loop().run_in_executor(_HASHERS, work, *args)
