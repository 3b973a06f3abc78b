"""docs/codec.md says what is true."""

import doctest
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "codec.md"


def test_the_examples_of_the_document_are_what_the_codec_does() -> None:
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, verbose=False)
    assert (failed, tried > 15) == (0, True)
