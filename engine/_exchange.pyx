"""The ordinary way of parts over one line: prompt, PDU, reference, OK, and the next AT+CMGS at once.

An `Exchange` is who may speak on the line while parts go over it; a `Hand` is what a modem has on the line and ahead,
and who is told.  Whatever is not ordinary (a question, a time-out, an error, a gap to keep, something that only the
modem's task can see to) is said to methods that `engine.modem.dialogue` and `engine.modem.tc35i` override.

Rule 1: a submission is told as ended after the whole chunk that ended it was heard: what stood beside its outcome,
    a message that came, is known before the next begins.
Rule 2: the next begins before the end of the last is told.
Rule 3: while a hand is held nothing begins natively: the end of a submission is the task's business first.

No clock: `clock` is the loop's.  Everything is called on the loop's thread but `Submission.withdraw`.
"""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint8_t

from engine._at cimport AT_ACCEPTED, AT_AHEAD, AT_DONE, AT_WITHDRAWN, Reader, Submission
from engine._wire cimport Ear, Wire

cdef enum Phase:
    PHASE_OUT
    PHASE_BUSY
    PHASE_RESTING
    PHASE_FREE
    PHASE_SENDING

OUT = PHASE_OUT
BUSY = PHASE_BUSY
RESTING = PHASE_RESTING
FREE = PHASE_FREE
SENDING = PHASE_SENDING


@cython.auto_pickle(False)
cdef class Exchange(Ear):
    """Submits parts over `wire`, one at a time.

    `on_given`, where there is one, gets a submission just before the first octet of its PDU is written, `on_submitted`
    one whose outcome is known.  Times are `clock`'s, in seconds: `heard_s` of the last octet, `final_s` of the last
    final result, `watch_s` when the timer looks next, infinite where there is none.
    """

    cdef readonly Wire wire
    cdef readonly Reader reader
    cdef readonly Submission submission
    cdef readonly double prompt_timeout_s
    cdef readonly double result_timeout_s
    cdef readonly double answer_timeout_s
    cdef readonly double timeout_s
    cdef readonly double deadline_s
    cdef readonly double heard_s
    cdef public double final_s
    cdef public double watch_s
    cdef object clock
    cdef object on_submitted
    cdef object on_given
    cdef bint is_hearing

    def __init__(
        self,
        Wire wire not None,
        Reader reader not None,
        clock,
        double prompt_timeout_s,
        double result_timeout_s,
        double answer_timeout_s,
        on_submitted,
        on_given,
    ):
        self.reader = reader
        self.clock = clock
        self.prompt_timeout_s = prompt_timeout_s
        self.result_timeout_s = result_timeout_s
        self.answer_timeout_s = answer_timeout_s
        self.on_submitted = on_submitted
        self.on_given = on_given
        self.watch_s = INFINITY
        self.wire = wire
        wire.ear = self

    def submit(self, Submission job not None):
        """Begin an AT+CMGS at once; whoever asks has kept the gap.  False if it was withdrawn."""
        return self.begin(job)

    def finish(self, Submission job not None):
        """Take `job`, which has its outcome, off the line, and tell it."""
        self.end(job)

    def expect(self, double timeout_s):
        """Set the deadline `timeout_s` from now.

        The timer itself is moved only when it would come too late: at thousands of submits a second a timer for
        each, always cancelled, is a tenth of the work.
        """
        self.expect_by(timeout_s, self.clock())

    def heed(self, line):
        """A line that belongs to no submission."""
        raise NotImplementedError

    def watch(self, double deadline_s):
        """Let the timer come at `deadline_s`, and set `watch_s`."""
        raise NotImplementedError

    cdef int hear(self, const uint8_t* octets, Py_ssize_t length) except -1:
        cdef double now_s = self.clock()
        self.heard_s = now_s
        self.is_hearing = True
        try:
            return self.take(octets, length, now_s)
        finally:
            self.is_hearing = False

    cdef int take(self, const uint8_t* octets, Py_ssize_t length, double now_s) except -1:
        cdef Submission job = self.submission
        for line in self.reader.read(octets, length):
            reply = None if job is None else job.hear(line, now_s)
            if reply is None:
                self.heed(line)
            elif reply:
                self.give(job, reply, now_s)
        # Not ours any more where one of the lines had it broken off.
        if job is None or job is not self.submission:
            return 0
        if job.at == AT_DONE:
            self.final_s = now_s
            self.end(job)
        elif job.at == AT_ACCEPTED:
            # The reference is here, so its OK is on the way or lost: no reason to wait for the network.
            self.expect_by(self.answer_timeout_s, now_s)
        return 0

    cdef int give(self, Submission job, bytes octets, double now_s) except -1:
        """The prompt is open: write the PDU."""
        cdef Wire wire = self.wire
        job.written_before = wire.written
        if wire.gathered is not None:
            job.written_before += len(wire.gathered)
        self.reader.echo = job.pdu
        self.expect_by(self.result_timeout_s, now_s)
        if self.on_given is not None:
            self.on_given(job)
        wire.write(octets)
        return 0

    cdef int end(self, Submission job) except -1:
        self.submission = None
        self.on_submitted(job)
        return 0

    cdef bint begin(self, Submission job) except -1:
        cdef bytes command = job.begin()
        if not command:
            return False
        self.submission = job
        self.expect_by(self.prompt_timeout_s, self.heard_s if self.is_hearing else <double>self.clock())
        self.reader.echo = command[: len(command) - 1]
        self.wire.write(command)
        return True

    cdef int expect_by(self, double timeout_s, double now_s) except -1:
        self.timeout_s = timeout_s
        self.deadline_s = now_s + timeout_s
        if self.deadline_s < self.watch_s:
            self.watch(self.deadline_s)
        return 0


@cython.auto_pickle(False)
cdef class Hand:
    """What one modem has on the line and what goes next, which is `ahead`; `exchange` is None without a line.

    `on_wanted(self)`, `on_done(self, job)` and `on_given(self, job)` are called as they were given.  `is_held` tells
    that something waits which only the task can see to; `is_retiring` that no more jobs are taken.  `sent` counts
    submissions that ended with a reference.
    """

    cdef public int phase
    cdef public Submission ahead
    cdef public Exchange exchange
    cdef public bint is_held
    cdef public bint is_retiring
    cdef public int64_t sent
    cdef readonly object on_wanted
    cdef readonly object on_done
    cdef readonly object on_given

    def __init__(self, on_wanted, on_done, on_given):
        self.on_wanted = on_wanted
        self.on_done = on_done
        self.on_given = on_given
        self.is_held = True

    @property
    def is_free(self):
        """Whether a job given now is written to the line now: nothing is there, nothing is ahead."""
        return self.phase == PHASE_FREE

    def give(self, Submission job not None):
        """Begin `job` now, or as soon as what is on the line, the gap, a reading or housekeeping is over.

        A job that was withdrawn is dropped, one given to a modem out of service ends as ModemLost: from the
        loop.  Raises Conflict where another job is ahead, or `job` was given before.
        """
        self.take(job)

    def begin(self):
        """Write the AT+CMGS of the job ahead; without one the modem is free."""
        self.begin_ahead()

    def ask(self):
        """Ask for a job where none is ahead."""
        self.ask_for_one()

    def given(self, Submission job not None):
        """The first octet of its PDU is about to be written."""
        self.on_given(self, job)

    def submitted(self, Submission job not None):
        """A submission has its outcome: begin the next, then tell."""
        if self.phase != PHASE_SENDING or self.is_held or job.is_suspect or type(job.outcome) is not int:
            self.settle(job)
            return
        self.sent += 1
        self.begin_ahead()
        self.on_done(self, job)
        self.ask_for_one()

    def settle(self, job):
        """A submission has its outcome, and that is not all that there is to see to."""
        raise NotImplementedError

    def refuse(self, job):
        """A job that cannot be taken was given."""
        raise NotImplementedError

    cdef int take(self, Submission job) except -1:
        if job.at != AT_AHEAD or self.phase == PHASE_OUT or self.is_retiring:
            self.refuse(job)
        elif self.ahead is not None and self.ahead.at != AT_WITHDRAWN:
            self.refuse(job)
        else:
            self.ahead = job
            if self.phase == PHASE_FREE:
                self.begin_ahead()
                self.ask_for_one()
        return 0

    cdef int begin_ahead(self) except -1:
        cdef Submission job = self.ahead
        cdef Exchange line = self.exchange
        self.ahead = None
        if job is not None and line is not None:
            # Before the write: should it fail, then from the loop, which must find a part on the line.
            self.phase = PHASE_SENDING
            if line.begin(job):
                return 0
        self.phase = PHASE_RESTING if self.is_retiring else PHASE_FREE
        return 0

    cdef int ask_for_one(self) except -1:
        if self.ahead is None and not self.is_retiring and (self.phase == PHASE_SENDING or self.phase == PHASE_FREE):
            self.on_wanted(self)
        return 0
