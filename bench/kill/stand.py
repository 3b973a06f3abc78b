"""The stand: a rack that lives on, and a server that may die at any moment.

The server is forked from a process that has imported everything, so that a start takes a moment.
"""

import http.client
import json
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Timer
from typing import Any, Final

from bench.kill import sites
from bench.kill.sites import Kill, Ways
from bench.rig import READY_S, Rig

STOP_S: Final = 30.0
DYING_S: Final = 10.0  # between a connection that breaks and the exit code of who was killed
AS_IT_IS: Final = Ways()

_context: Final = multiprocessing.get_context("forkserver")


class Died(Exception):
    """The server was killed."""


class Stand(Rig):
    """A rig whose server is asked to die; `modems` stand in `folder`, each round's data in a folder of its own."""

    def __init__(self, folder: Path, modems: int, ways: Ways = AS_IT_IS) -> None:
        super().__init__(folder, modems)
        self._ways = ways
        self._server: ForkServerProcess | None = None
        self._timer: Timer | None = None
        self._passed = folder / "passed.json"

    def move(self, name: str) -> None:
        """Begin with an empty data directory, and a key file beside it that is not there yet."""
        home = self.folder / name
        home.mkdir()
        self.data = home / "data"

    def start(self, kill: Kill | None = None, after_s: float | None = None) -> None:
        """Start the server on the rack and wait until a modem is ready; `after_s` from now on it is killed.

        Raises Died where that did not last so long.
        """
        self._passed.unlink(missing_ok=True)
        _context.set_forkserver_preload(["__main__", "bench.kill.sites", "server.serving", "uvloop"])
        arguments = ["serve", "--data", str(self.data), "--port", str(self.port)]
        arguments += ["--modem", "rack/modem-*", "--command-gap-ms", "0"]
        given = (arguments, kill, self._ways, self.folder, self._passed)
        server = self._server = _context.Process(target=sites.serve, args=given, daemon=True)
        server.start()
        if after_s is not None:
            self._timer = Timer(after_s, server.kill)
            self._timer.start()
        until = time.monotonic() + READY_S
        while not self._answers("/readyz"):
            self._see_alive()
            if time.monotonic() > until:
                raise RuntimeError(f"the server did not start:\n{self._log()}")
            time.sleep(0.01)

    def _log(self) -> str:
        return "\n".join((self.folder / "server.log").read_text().splitlines()[-20:])

    def _see_alive(self) -> None:
        """Raises Died, or RuntimeError where the server ended by anything but SIGKILL."""
        assert self._server is not None
        code = self._server.exitcode
        if code == -signal.SIGKILL:
            raise Died
        if code is not None:
            raise RuntimeError(f"the server ended with exit code {code}:\n{self._log()}")

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """`call`, of a server that may die meanwhile.  Raises Died: nobody knows then what it has done."""
        try:
            return self.call(method, path, body, **more)
        except (OSError, http.client.HTTPException, ValueError):
            assert self._server is not None
            self._server.join(DYING_S)
            self._see_alive()
            raise

    def leave(self) -> Counter[str]:
        """SIGTERM, and how often each site was passed.  Raises Died where it was killed on its way out."""
        self._forget_timer()
        assert self._server is not None
        self._server.terminate()
        self._server.join(STOP_S)
        code = self._server.exitcode
        if code == 0:
            return Counter(json.loads(self._passed.read_text(encoding="utf-8")))
        self._see_alive()
        raise RuntimeError(f"the server did not stop in {STOP_S:g} s")

    def finish_off(self) -> None:
        """kill -9, now that nothing more is to come."""
        self._forget_timer()
        if self._server is not None:
            self._server.kill()
            self._server.join()
            self._server = None

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None

    def close(self) -> None:
        """End what still runs."""
        self.finish_off()
        super().close()


@contextmanager
def stand(folder: Path, modems: int, ways: Ways = AS_IT_IS) -> Iterator[Stand]:
    """A stand whose rack is at work, cleared away at the end, whatever happens."""
    made = Stand(folder, modems, ways)
    try:
        made.start_rack()
        yield made
    finally:
        made.close()
