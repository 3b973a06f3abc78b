"""Words: texts as they are compared, and the words of a name as they are looked up."""

import hashlib
import re
import unicodedata
from typing import Final

KEY_OCTETS: Final = 16  # of a word that an index keeps: what is longer is told apart by the record
WORDS_MOST: Final = 12  # of one name

_WORD: Final = re.compile(r"\w+")
_HAN: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_GIVEN_NAMES_LONGEST: Final = 3  # characters behind a Chinese family name


def folded(text: str) -> str:
    """`text` as it is compared, by NFKC and case folding: full-width and capital letters are as plain ones."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def spaced(text: str) -> str:
    """`folded`, with single spaces and none around it: for names that must be unique."""
    return " ".join(folded(text).split())


def digest(text: str) -> bytes:
    """16 octets that stand for a name in an index, whatever its length, spacing or case."""
    return hashlib.blake2b(spaced(text).encode("utf-8", "surrogatepass"), digest_size=KEY_OCTETS).digest()


def of_name(name: str) -> list[str]:
    """The words by which a name is found, each once.

    Chinese has no spaces: a name of Han characters is found by its given name as well.
    """
    found: dict[str, None] = {}
    for word in _WORD.findall(folded(name)):
        found[word] = None
        if _HAN.match(word):
            for start in range(1, min(len(word), _GIVEN_NAMES_LONGEST)):
                found[word[start:]] = None
        if len(found) >= WORDS_MOST:
            break
    return list(found)[:WORDS_MOST]


def key(word: str) -> bytes:
    """The key of a word: its octets in UTF-8, cut between characters, filled with zeros."""
    return start(word).ljust(KEY_OCTETS, b"\0")


def start(word: str) -> bytes:
    """What the keys of all words begin with that begin with `word`."""
    octets = word.encode("utf-8", "replace")
    if len(octets) <= KEY_OCTETS:
        return octets
    return octets[:KEY_OCTETS].decode("utf-8", "ignore").encode()


def has_all(name: str, sought: list[str]) -> bool:
    """Whether every sought word begins a word of `name`."""
    mine = of_name(name)
    return all(any(word.startswith(begun) for word in mine) for begun in sought)
