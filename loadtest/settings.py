"""What a stack is made of, and the daemon's configuration file that goes with it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hlrd.domain.order import Source
from loadtest.faults import Profile

HLR_USER: Final = "hlrd"
PROVINCE: Final = "200"
POOL: Final = "iot"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of what, how slow and how faulty. Everything is on loopback."""

    hlrs: int = 4
    hlr_sessions: int = 16  #: per HLR; the emulator refuses one more
    dsmp_connections: int = 32
    hlr_faults: Profile = field(default_factory=Profile)
    dsmp_faults: Profile = field(default_factory=Profile)
    hlr_templates: Mapping[str, int] = field(default_factory=dict)  #: empty: as the daemon has it
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


def daemon_toml(
    shape: Shape,
    credentials: Credentials,
    *,
    data_dir: Path,
    http_port: int,
    admin_port: int,
    ne_ports: Mapping[str, int],
) -> str:
    """The daemon's configuration. JSON's strings and numbers are TOML's."""
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
        _ne(name, "huawei_hlr", ne_ports[name], shape.hlr_sessions, shape)
        + f'\nuser = "{HLR_USER}"\npassword = "{credentials.hlr_password}"'
        + _templates(shape)
        for name in shape.hlr_names
    ]
    sections.append(_ne("dsmp1", "dsmp", ne_ports["dsmp1"], shape.dsmp_connections, shape))
    return "\n\n".join(sections) + "\n"


def _templates(shape: Shape) -> str:
    pairs = [f"{json.dumps(name)} = {number}" for name, number in shape.hlr_templates.items()]
    return f"\ntemplates = {{ {', '.join(pairs)} }}" if pairs else ""


def _ne(name: str, dialect: str, port: int, sessions: int, shape: Shape) -> str:
    return "\n".join(
        [
            "[[ne]]",
            f'name = "{name}"',
            f'dialect = "{dialect}"',
            'host = "127.0.0.1"',
            f"port = {port}",
            f"sessions_max = {sessions}",
            f"reply_timeout_s = {shape.reply_timeout_s}",
            f"settle_s = {shape.settle_s}",
        ]
    )
