"""What kind of modem this is: its identity, what AT&W stores, and switches for what manuals leave open."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """What the module says it is."""

    maker: str = "SIEMENS"
    model: str = "TC35i"
    revision: str = "REVISION 03.01"


@dataclass(frozen=True, slots=True)
class Quirks:
    """Times and habits of one modem; the defaults are the manual's, or our reading where it is silent.

    `prompt_timeout_ms`       an open prompt without input ends with 500 or 521
    `answer_timeout_ms`       no answer from the network ends with 500 or 332; the part may have been accepted
    `acknowledge_timeout_ms`  +CMT and +CDS want AT+CNMA within this
    `command_delay_ms`        between a command's <CR> and its answer
    `boot_ms`                 from a restart to ^SYSSTART
    `switch_ms`               AT+CPMS with another mem3 (up to 35 s on a real module)
    `race_ms`                 an unsolicited line waits so long to come out just before the next echo; 0:
    never
    `hides_refusals`          with AT^SM20=x,1 also a refusal by the network is a bare OK
    `pads_reports`            a stored status report is read with its record's tail of FF, unless
    AT^SSCONF=x,1
    `repeats_cdsi`            every +CDSI comes twice
    `has_cmms`                AT+CMMS is known
    """

    prompt_timeout_ms: int = 60_000
    answer_timeout_ms: int = 60_000
    acknowledge_timeout_ms: int = 15_000
    command_delay_ms: int = 0
    boot_ms: int = 20
    switch_ms: int = 0
    race_ms: int = 0
    hides_refusals: bool = True
    pads_reports: bool = True
    repeats_cdsi: bool = False
    has_cmms: bool = False


@dataclass(slots=True)
class Settings:
    """What AT&F resets, AT&W stores and a restart or ATZ brings back."""

    echo: bool = True
    verbose: bool = True
    quiet: bool = False
    cmee: int = 0
    text_mode: bool = False
    service: int = 0
    # <mode>,<mt>,<bm>,<ds>,<bfr>
    cnmi: tuple[int, int, int, int, int] = (0, 0, 0, 0, 1)
    sm20: tuple[int, int] = (1, 1)
    smgo: int = 0
    creg: int = 0
    # <ra>,<ff>
    ssconf: tuple[int, int] = (0, 0)
    # Settings with no effect here, as they were written; by command.
    kept: dict[str, str] = field(default_factory=dict)
