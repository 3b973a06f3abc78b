"""SMS-DELIVERs as a modem prints them, built by hand (3GPP TS 23.040 §9.2.2.1)."""

STAMP = "62204101510340"


def deliver(
    text: str = "hello",
    sender: str = "4917012345678",
    *,
    kind: int = 0x91,
    concatenation: tuple[int, int, int] | None = None,
    stamp: str = STAMP,
    octets: bytes | None = None,
) -> str:
    """Hex digits with an empty service centre; UCS2.  `kind` is the sender's type of address."""
    padded = sender + "F" * (len(sender) % 2)
    address = "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))
    header = b"" if concatenation is None else bytes([5, 0, 3, *concatenation])
    body = header + (text.encode("utf-16-be") if octets is None else octets)
    first = "44" if header else "04"
    return f"00{first}{len(sender):02X}{kind:02X}{address}0008{stamp}{len(body):02X}{body.hex().upper()}"
