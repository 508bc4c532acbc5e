"""A real osmo-hlr as a child process, and what its own database says.

Its ports are fixed, so each has an address of 127/8 to itself.
"""

import os
import random
import shutil
import signal
import socket
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hlrd.codec import ipa
from loadtest.process import Process, StackError, until

UNPACKED: Final = Path(__file__).parents[2] / "build/tools/osmo"
"""Where `make` puts it when the system has none."""

HOW_TO_GET: Final = "apt-get install osmo-hlr, or make demo HLR=osmo, which unpacks it by itself"

_PORTS: Final = (4_222, 4_258, ipa.PORT)  # GSUP, VTY, CTRL
_PING_S: Final = 1.0
_CONFIGURATION: Final = """\
log stderr
 logging color 0
 logging timestamp 0
 logging level main notice
line vty
 bind {host}
ctrl
 bind {host}
hlr
 gsup
  bind ip {host}
"""
_SUBSCRIBERS: Final = """
    SELECT imsi, msisdn, nam_cs, nam_ps, ki, k, op
    FROM subscriber
    LEFT JOIN auc_2g ON auc_2g.subscriber_id = subscriber.id
    LEFT JOIN auc_3g ON auc_3g.subscriber_id = subscriber.id
"""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A row of its database."""

    imsi: str
    msisdn: str | None
    cs: bool
    ps: bool
    ki: str | None = field(default=None, repr=False)  #: of a 2G key
    k: str | None = field(default=None, repr=False)  #: of a 3G key
    op: str | None = field(default=None, repr=False)

    @property
    def has_key(self) -> bool:
        return self.ki is not None or self.k is not None


def program() -> str | None:
    """The system's, or the one that was unpacked; None where there is none."""
    unpacked = UNPACKED / "usr/bin/osmo-hlr"
    return shutil.which("osmo-hlr") or (str(unpacked) if unpacked.exists() else None)


class RealHLR(Process):
    """`ready` is said by its answer to a ping: a connect alone proves nothing."""

    def __init__(self, name: str, folder: Path) -> None:
        """Raises StackError where no osmo-hlr can be had."""
        found = program()
        if found is None:
            raise StackError(f"there is no osmo-hlr: {HOW_TO_GET}")
        self.host = _free_host()
        self.database = folder / f"{name}.db"
        configuration = folder / f"{name}.cfg"
        configuration.write_text(_CONFIGURATION.format(host=self.host))
        arguments = ["-c", str(configuration), "-l", str(self.database)]
        environment = _environment() if found.startswith(str(UNPACKED)) else {}
        super().__init__(name, arguments, folder, environment=environment, program=[found])

    async def ready(self, *, deadline_s: float = 20.0) -> Mapping[str, int]:
        await until(
            self._answers, deadline_s=deadline_s, what=f"{self.name} answers; log: {self.log}"
        )
        return {"port": ipa.PORT}

    def stop(self) -> None:
        """SIGSTOP: it takes connections still, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def subscribers(self) -> Sequence[Subscriber]:
        """Of its own database, read beside it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            rows = database.execute(_SUBSCRIBERS).fetchall()
        return [
            Subscriber(imsi, msisdn, bool(cs), bool(ps), *keys)
            for imsi, msisdn, cs, ps, *keys in rows
        ]

    def _answers(self) -> bool:
        self.refuse_if_ended()
        with suppress(OSError), socket.create_connection((self.host, ipa.PORT), _PING_S) as link:
            link.sendall(ipa.PING)
            return link.recv(len(ipa.PONG)) == ipa.PONG
        return False


def _environment() -> Mapping[str, str]:
    folders = [str(library.parent) for library in UNPACKED.glob("usr/lib/*/libosmocore.so.*")]
    return {"LD_LIBRARY_PATH": ":".join(sorted(set(folders)))}


def _free_host() -> str:
    while True:
        host = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
        with suppress(OSError):
            for port in _PORTS:
                with socket.socket() as probe:
                    probe.bind((host, port))
            return host
