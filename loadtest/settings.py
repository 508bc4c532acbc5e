"""What a stack is made of, and the daemon's configuration file that goes with it."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hlrd.domain.orders import Source
from loadtest.faults import Profile

HLR_USER: Final = "hlrd"
PROVINCE: Final = "200"
POOL: Final = "iot"
K4SNO: Final = 7
"""Index of the transport key that the invented Ki are said to be encrypted under."""

NOWHERE_ELSE: Final[Mapping[str, str]] = MappingProxyType({})
NO_FILES: Final[Mapping[str, Path]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of what, how slow and how faulty. Everything is on loopback."""

    hlrs: int = 4
    hlr_dialect: str = "huawei_hlr"  #: of loadtest.stack.EMULATED_HLRS; osmo_hlr: real ones
    hlr_sessions: int = 16  #: per HLR; the emulator refuses one more
    dsmp_connections: int = 32
    hlr_faults: Profile = field(default_factory=Profile)
    dsmp_faults: Profile = field(default_factory=Profile)
    hlr_templates: Mapping[str, int] = field(default_factory=dict)  #: empty: as the daemon has it
    hlr_commands_per_s: float | None = None  #: the contracted rate of each HLR
    accounts: Mapping[str, Source] = field(default_factory=dict)  #: by user; beside the tokens
    platforms: Sequence[str] = ()  #: dialects of loadtest.stack.PLATFORMS; NEs of the same names
    remembers: bool = False  #: the emulators keep what they hold over a restart
    reply_timeout_s: float = 30.0
    settle_s: float = 1.0
    http_port: int = 0  #: 0: a free one
    admin_port: int = 0
    seed: int = 1

    @property
    def hlr_names(self) -> list[str]:
        return [f"hlr{number}" for number in range(1, self.hlrs + 1)]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Random ones for one stack; a stack that is kept keeps them beside its data."""

    hlr_password: str
    key: str
    tokens: Mapping[Source, str]

    @classmethod
    def random(cls) -> "Credentials":
        return cls(
            hlr_password=secrets.token_hex(8),
            key=secrets.token_hex(32),
            tokens={source: f"demo-{source.lower()}-{secrets.token_hex(8)}" for source in Source},
        )

    @classmethod
    def kept_in(cls, path: Path) -> "Credentials":
        """Those of the file, which is made on first use, readable by its owner alone."""
        if path.exists():
            stored = json.loads(path.read_text())
            tokens = {Source(name): token for name, token in stored["tokens"].items()}
            return cls(stored["hlr_password"], stored["key"], tokens)
        made = cls.random()
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {"hlr_password": made.hlr_password, "key": made.key, "tokens": dict(made.tokens)}
            )
        )
        return made

    @property
    def operator_constant(self) -> str:
        """OP of the invented operator, which an HLR without vendor tables must be told."""
        return self._derived("op")

    @property
    def transport_key(self) -> str:
        """Under which the Ki of the invented cards are said to be encrypted."""
        return self._derived("k4")

    def password(self, user: str) -> str:
        """Of an account at hlrd."""
        return self._derived(f"account {user}")

    def _derived(self, name: str) -> str:
        return hashlib.sha256(f"{self.key} {name}".encode()).hexdigest()[:32]


def daemon_toml(
    shape: Shape,
    credentials: Credentials,
    *,
    data_dir: Path,
    http_port: int,
    admin_port: int,
    ne_ports: Mapping[str, int],
    ne_hosts: Mapping[str, str] = NOWHERE_ELSE,
    password_files: Mapping[str, Path] = NO_FILES,
) -> str:
    """The daemon's configuration. JSON's strings and numbers are TOML's."""

    def address(name: str) -> tuple[str, int]:
        return ne_hosts.get(name, "127.0.0.1"), ne_ports[name]

    sections = [
        'log_level = "info"',
        f"[database]\ndata_dir = {json.dumps(str(data_dir))}",
        f"[http]\nport = {http_port}\nadmin_port = {admin_port}",
        f'[keys]\ncurrent = "k1"\n[keys.keys]\nk1 = "{credentials.key}"',
    ]
    sections += [
        f'[[tokens]]\nsource = "{source}"\ntoken = "{token}"'
        for source, token in credentials.tokens.items()
    ]
    sections += [
        f'[[accounts]]\nsource = "{shape.accounts[user]}"\nuser = "{user}"\n'
        f"password_file = {json.dumps(str(file))}"
        for user, file in password_files.items()
    ]
    sections += [
        _ne(name, shape.hlr_dialect, address(name), shape.hlr_sessions, shape)
        + _account(shape, credentials)
        + _templates(shape)
        + _rate(shape)
        for name in shape.hlr_names
    ]
    sections.append(_ne("dsmp1", "dsmp", address("dsmp1"), shape.dsmp_connections, shape))
    sections += [
        _ne(name, name, address(name), shape.dsmp_connections, shape) for name in shape.platforms
    ]
    return "\n\n".join(sections) + "\n"


def _account(shape: Shape, credentials: Credentials) -> str:
    if shape.hlr_dialect == "osmo_hlr":
        op, transport_key = credentials.operator_constant, credentials.transport_key
        return f'\nsecrets = {{ op = "{op}", "k4.{K4SNO}" = "{transport_key}" }}'
    return f'\nuser = "{HLR_USER}"\npassword = "{credentials.hlr_password}"'


def _rate(shape: Shape) -> str:
    rate = shape.hlr_commands_per_s
    return "" if rate is None else f"\ncommands_per_s = {rate}"


def _templates(shape: Shape) -> str:
    pairs = [f"{json.dumps(name)} = {number}" for name, number in shape.hlr_templates.items()]
    return f"\ntemplates = {{ {', '.join(pairs)} }}" if pairs else ""


def _ne(name: str, dialect: str, address: tuple[str, int], sessions: int, shape: Shape) -> str:
    host, port = address
    return "\n".join(
        [
            "[[ne]]",
            f'name = "{name}"',
            f'dialect = "{dialect}"',
            f'host = "{host}"',
            f"port = {port}",
            f"sessions_max = {sessions}",
            f"reply_timeout_s = {shape.reply_timeout_s}",
            f"settle_s = {shape.settle_s}",
        ]
    )
