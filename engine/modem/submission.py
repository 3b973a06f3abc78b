"""One AT+CMGS from the first octet to the outcome (3GPP TS 27.005 §3.5.1): the face of `engine._at`'s Submission.

No I/O and no clock: times are arguments.

    AHEAD      was given to a modem; nothing is written, and it may still be withdrawn, from any thread
    ASKED      AT+CMGS=<length> was given; waits for the prompt
    GIVEN      the PDU and Ctrl-Z were given; waits for +CMGS: <reference>
    ACCEPTED   the network took it; waits for the OK behind the reference
    DONE       `outcome` says how
    WITHDRAWN  nothing was written, and nothing ever will be

Rule 1: before the first octet of the PDU every failure means "not sent".
Rule 2: behind it only a definite error does; silence, a lost line and ambiguous codes mean "unknown".
Rule 3: an OK without a reference means "not sent": with AT^SM20=x,1 that is how a TC35i hides an error.
    But behind a line that cannot be read it means "unknown": that line may have been the reference,
    before the wire lost an octet of it.
Rule 4: the reference is the proof, whatever happens to the OK behind it.
Rule 5: a submission is begun or withdrawn or lost unbegun, once, and never two of these.
"""

from engine._at import ACCEPTED, AHEAD, ASKED, COMMAND, CTRL_Z, DONE, GIVEN, WITHDRAWN, Submission

__all__ = ["ACCEPTED", "AHEAD", "ASKED", "COMMAND", "CTRL_Z", "DONE", "GIVEN", "WITHDRAWN", "Submission"]
