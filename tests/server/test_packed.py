"""server/rows.py on packed bodies: whole ones are what they were wherever they are cut, a short one is told."""

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from server.rows import PIECE_OCTETS, Unpacker
from tests.server.conftest import Place


def raw(octets: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(octets) + packer.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
WAYS = st.sampled_from([("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw), ("", bytes)])
OCTETS = st.binary(max_size=200) | st.builds(lambda count: b"a" * count, st.integers(0, 3 * PIECE_OCTETS))
CUTS = st.lists(st.integers(0, 10_000), max_size=8)


def unpacked(encoding: str, pieces: list[bytes]) -> bytes:
    unpacker = Unpacker(encoding)
    found = [piece for octets in pieces for piece in unpacker.feed(octets)]
    unpacker.end()
    if encoding:
        assert max(map(len, found), default=0) <= PIECE_OCTETS
    return b"".join(found)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    borders = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[begin:end] for begin, end in pairwise(borders)]


@given(WAYS, OCTETS, CUTS)
def test_what_was_packed_is_unpacked_wherever_it_is_cut(
    way: tuple[str, object], octets: bytes, places: list[int]
) -> None:
    encoding, pack = way
    assert callable(pack)
    assert unpacked(encoding, cut(pack(octets), places)) == octets


@given(st.lists(OCTETS, min_size=1, max_size=4), CUTS)
def test_members_of_gzip_are_one_body(members: list[bytes], places: list[int]) -> None:
    assert unpacked("gzip", cut(b"".join(map(gzip.compress, members)), places)) == b"".join(members)


@pytest.mark.parametrize("encoding", PACKED)
@given(octets=st.binary(max_size=60), places=CUTS)
def test_one_that_is_cut_short_anywhere_is_told(encoding: str, octets: bytes, places: list[int]) -> None:
    packed = PACKED[encoding](octets)
    for size in range(1, len(packed)):
        with pytest.raises(web.RequestPayloadError):
            unpacked(encoding, cut(packed[:size], places))


@pytest.mark.parametrize("encoding", PACKED)
def test_what_goes_on_behind_the_end_is_told(encoding: str) -> None:
    with pytest.raises(web.RequestPayloadError):
        unpacked(encoding, [PACKED[encoding](b"to\n") + b"+1"])


def test_a_few_octets_that_stand_for_very_many_come_a_little_at_a_time() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    assert len(bomb) < 110_000
    assert sum(map(len, Unpacker("gzip").feed(bomb))) == 100 << 20


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip"])
async def test_another_packing_is_refused_with_those_there_are(desk: Place, encoding: str) -> None:
    answer = await desk.upload(await desk.draft(), b"to\n", headers={"Content-Encoding": encoding})
    assert (answer.status, "gzip, deflate" in answer.body["detail"]) == (415, True)


@pytest.mark.parametrize("encoding", ["identity", "GZIP", "x-gzip"])
async def test_packings_have_other_names(desk: Place, encoding: str) -> None:
    octets = b"to\n+8613900000011\n"
    octets = octets if encoding == "identity" else gzip.compress(octets)
    assert (await desk.upload(await desk.draft(), octets, headers={"Content-Encoding": encoding})).status == 202
