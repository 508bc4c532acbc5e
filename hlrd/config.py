"""Settings: TOML file, then environment (`HLRD_DATABASE__DSN`), every error at once.

`hlrd.example.toml` shows each setting with its default and meaning; a test holds the two together.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hlrd import limits
from hlrd.domain.errors import HlrdError
from hlrd.domain.orders import PROVINCES, Source
from hlrd.domain.role import Role


class ConfigError(HlrdError):
    """The configuration is not usable; the text lists everything that is wrong with it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(_Section):
    dsn: SecretStr | None = None  #: absent: an embedded server below `data_dir`
    data_dir: Path = Path(".hlrd/postgres")


class Imports(_Section):
    folder: Path | None = None  #: absent: `imports` beside `database.data_dir`


class HTTP(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    admin_host: str = "127.0.0.1"  #: health and metrics, on a port of their own
    admin_port: int = Field(default=8081, ge=0, le=65535)


class Token(_Section):
    source: Source
    token: SecretStr = Field(min_length=16)


class Account(_Section):
    """By which a source system logs in (系统之间的认证); it may have several."""

    source: Source
    user: str = Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\z")
    password_file: Path  #: its first line is the password


class Sessions(_Section):
    """How long a source system that logged in stays so, and what wrong passwords cost."""

    heartbeat_s: float = Field(default=60.0, gt=0)  #: what its systems are told to keep to
    idle_close_s: float = Field(default=180.0, gt=0, le=limits.SESSION_IDLE_S_MAX)
    lifetime_s: float = Field(default=86_400.0, gt=0, le=limits.SESSION_LIFETIME_S_MAX)
    per_account_max: int = Field(default=8, ge=1, le=limits.SESSIONS_OF_ACCOUNT_MAX)
    lock_after: int = Field(default=5, ge=1, le=limits.LOCK_AFTER_MAX)
    lock_s: float = Field(default=300.0, gt=0, le=limits.LOCK_S_MAX)

    @model_validator(mode="after")
    def _outlive_a_lost_heartbeat(self) -> "Sessions":
        if self.idle_close_s < 2 * self.heartbeat_s:
            raise ValueError("idle_close_s is below two heartbeat_s: one that is lost would close")
        return self


class Keys(_Section):
    """The key-encryption keys for card keys at rest: 64 hex digits each."""

    current: str  #: the id that new cards are sealed under
    keys: dict[str, SecretStr]

    @model_validator(mode="after")
    def _usable(self) -> "Keys":
        if self.current not in self.keys:
            raise ValueError(f"current = {self.current!r} names no key of keys")
        for name, key in self.keys.items():
            try:
                ok = len(bytes.fromhex(key.get_secret_value())) == 32
            except ValueError:
                ok = False
            if not ok:
                raise ValueError(f"key {name!r} is not 64 hex digits (openssl rand -hex 32)")
        return self


class Blackout(_Section):
    """A time in which an NE is left alone; its tasks wait."""

    since: AwareDatetime
    until: AwareDatetime
    cause: str = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _ends(self) -> "Blackout":
        if self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class NESettings(_Section):
    name: str = Field(pattern=r"\A[a-z][a-z0-9_-]{0,31}\z")
    dialect: str
    host: str
    port: int = Field(ge=1, le=65535)
    user: str = ""
    password: SecretStr = SecretStr("")
    sessions_min: int = Field(default=1, ge=0)
    sessions_max: int = Field(default=16, ge=1, le=1024)
    commands_per_s: float | None = Field(default=None, gt=0)  #: the contracted rate; absent: no cap
    connect_timeout_s: float = Field(default=5.0, gt=0)
    reply_timeout_s: float = Field(default=limits.NE_REPLY_TIMEOUT_S, gt=0)
    settle_s: float = Field(default=1.0, ge=0)  #: the NE's own command time-out, before a read-back
    poll_s: float = Field(
        default=5.0, gt=0
    )  #: what the NE took and does later is asked for so often
    keepalive_s: float = Field(default=60.0, gt=0)  #: an idle session proves its life this often
    idle_close_s: float = Field(default=120.0, gt=0)  #: a surplus session idle this long is closed
    breaker_failures: int = Field(
        default=5, ge=1
    )  #: faults of the NE in a row that open the breaker
    breaker_probe_s: float = Field(default=0.5, gt=0)  #: an open breaker probes this often
    standby_host: str | None = None  #: where the NE is reached when it cannot be at `host`
    standby_port: int | None = Field(default=None, ge=1, le=65535)  #: absent: as `port`
    failback_s: float = Field(
        default=60.0, gt=0
    )  #: on the standby, the primary is tried this often
    in_flight_min: int = Field(default=1, ge=1)  #: a busy NE is given no fewer commands at once
    in_flight_max: int | None = Field(default=None, ge=1)  #: absent: what the sessions can hold
    blackouts: list[Blackout] = Field(default_factory=list)  #: planned maintenance
    templates: dict[str, int] = Field(default_factory=lambda: {"GPRS+SMS": 1})
    options: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, SecretStr] = Field(default_factory=dict)  #: options that nobody may see
    replies: Path | None = None  #: the site's own meanings of replies, laid over the shipped table

    @model_validator(mode="after")
    def _consistent(self) -> "NESettings":
        if self.sessions_min > self.sessions_max:
            raise ValueError("sessions_min is above sessions_max")
        if self.in_flight_max is not None and self.in_flight_min > self.in_flight_max:
            raise ValueError("in_flight_min is above in_flight_max")
        if self.standby_port is not None and self.standby_host is None:
            raise ValueError("standby_port without standby_host")
        return self


class Orders(_Section):
    state_master: Literal["BOSS", "CRM", "backup"] = "backup"
    state_masters: dict[str, Literal["BOSS", "CRM", "backup"]] = Field(default_factory=dict)
    quarantine_days: int = Field(default=90, ge=0, le=365)
    drain_s: float = Field(default=30.0, gt=0)  #: longest graceful stop
    voluntary_stop_in_arrears: Literal["accept", "refuse"] = "accept"
    predecessor_wait_s: float = Field(
        default=limits.PREDECESSOR_WAIT_S, ge=0, le=limits.PREDECESSOR_WAIT_S_MAX
    )  #: for one that is missing in a user's sequence

    @field_validator("state_masters")
    @classmethod
    def _are_provinces(cls, masters: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(masters) - set(PROVINCES))
        if unknown:
            raise ValueError(f"{unknown} are not company codes (docs/api.md)")
        return masters


EOMSPattern = Annotated[
    str, StringConstraints(pattern=r"\A[^:\x00-\x20]{1,40}:[^\x00-\x20]{1,64}\z")
]
"""`<ne>:<code>`, both with * and ?"""


class Fallout(_Section):
    """The fallout desk (docs/fallout.md)."""

    bulk_rate: float = Field(default=50.0, gt=0, le=1_000)  #: orders a second, of all bulk acts
    to_eoms: list[EOMSPattern] = Field(default_factory=list, max_length=100)


NEName = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_-]{0,31}\z")]


class Groups(_Section):
    """Group business (docs/groups.md): what members wait for, and which NE has which part."""

    roles: Annotated[list[Role], Field(min_length=1)] = [Role.PROVINCE, Role.HQ]
    homes: list[NEName] = Field(default_factory=list, max_length=limits.HOMES_MAX)
    """Of a province alone: headquarters' HLRs, as number ranges, cards and routes name them."""
    ec_unknown: Literal["accept", "wait", "refuse"] = "accept"  #: members of one never told of
    ec_not_ready: Literal["wait", "refuse"] = "wait"  #: of one without a product of their class
    wait_s: float = Field(default=limits.MEMBER_WAIT_S, gt=0)  #: for enterprise or opening
    nationwide: str | None = None  #: each absent: the one NE of its dialect, if there is one
    class1: str | None = None
    gateway: str | None = None
    province_platform: str | None = None
    province_management: str | None = None
    bboss: str | None = None
    boss1: str | None = None
    registry: str | None = None


class RouteSettings(_Section):
    """All numbers, or all cards, that begin with `prefix` have their home at `ne`."""

    kind: Literal["msisdn", "imsi"]
    prefix: str = Field(pattern=r"\A[0-9]{1,15}\z")
    ne: str


class ReceiptEndpoint(_Section):
    """Where a source wants its receipts (docs/receipts.md). An order may name it by `reply_to`."""

    name: str = Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\z")
    source: Source
    url: str
    secret_file: Path  #: what receipts are signed with: a line, or two while the secret changes
    is_default: bool = False  #: also for orders of the source that name none
    in_flight_max: int = Field(default=16, ge=1, le=limits.DELIVERIES_IN_FLIGHT_MAX)
    timeout_s: float = Field(default=15.0, gt=0, le=60.0)
    ca_file: Path | None = None  #: absent: the certificates that the machine trusts

    @field_validator("url")
    @classmethod
    def _can_be_posted_to(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("not an http or https address")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("an address has no user, password or fragment; receipts are signed")
        return url


RoleText = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_-]{0,31}\z")]
PatternText = Annotated[str, StringConstraints(pattern=r"\A[a-z.*-]{1,64}\z")]
PersonText = Annotated[str, StringConstraints(pattern=r"\A[\x21-\x7e]{1,20}\z")]


class Operators(_Section):
    """Staff that logs in at an SSO (docs/operators.md)."""

    check: Literal["local", "remote"]  #: who says what an operator may: the table here, or the SSO
    issuer: str = Field(min_length=1, max_length=200)  #: `iss` of its tokens
    audience: str = Field(default="hlrd", min_length=1, max_length=200)  #: `aud` of those for us
    keys_file: Path  #: the public keys that it signs by: a JWK set
    roles: dict[RoleText, list[PatternText]] = Field(default_factory=dict, max_length=100)
    people: dict[PersonText, list[RoleText]] = Field(default_factory=dict, max_length=10_000)
    authorize_url: str | None = None  #: of `remote`: where each right is asked for
    token: SecretStr | None = Field(default=None, min_length=16)  #: that hlrd shows there
    timeout_s: float = Field(default=2.0, gt=0, le=30.0)  #: longest wait for an answer from there
    ca_file: Path | None = None  #: absent: the certificates that the machine trusts

    @field_validator("authorize_url")
    @classmethod
    def _is_asked_in_private(cls, url: str | None) -> str | None:
        """Whoever could forge an answer would give rights."""
        parts = urlsplit(url or "https://x")
        is_near = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_near):
            raise ValueError("not an https address (http does on the machine itself alone)")
        if not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("an address has a host, and no user, password or fragment")
        return url

    @model_validator(mode="after")
    def _one_of_two(self) -> "Operators":
        is_remote = self.check == "remote"
        if is_remote != (self.authorize_url is not None):
            raise ValueError('authorize_url goes with check = "remote", and with that alone')
        if is_remote and (self.roles or self.people):
            raise ValueError('roles and people are of check = "local"; the SSO has its own')
        if is_remote and self.token is None:
            raise ValueError("token is missing: the SSO must know who asks")
        return self


class GradeRule(_Section):
    """Numbers with this tail are vanity numbers (`pool.grade` says what a pattern means)."""

    grade: str = Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\z")
    tail: str = Field(
        pattern=rf"\A[0-9A-Za-z?][0-9A-Za-z?+-]{{0,{limits.GRADE_TAIL_DIGITS_MAX - 1}}}\z"
    )


def _usual_grades() -> list[GradeRule]:
    """1.1 % of all numbers."""
    usual = {"AAAAA": "AAAAA", "AAAA": "AAAA", "AAA": "AAA", "ABCD": "A+++", "DCBA": "A---"}
    return [GradeRule(grade=grade, tail=tail) for grade, tail in usual.items()]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="HLRD_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    node: str = Field(default="hlrd", pattern=r"\A[a-z][a-z0-9_-]{0,31}\z")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    database: Database = Field(default_factory=Database)
    imports: Imports = Field(default_factory=Imports)
    http: HTTP = Field(default_factory=HTTP)
    accounts: list[Account] = Field(default_factory=list, max_length=limits.ACCOUNTS_MAX)
    tokens: list[Token] = Field(default_factory=list, validate_default=True)
    sessions: Sessions = Field(default_factory=Sessions)
    keys: Keys
    operators: Operators | None = None  #: absent: staff has the tokens of OPS alone
    orders: Orders = Field(default_factory=Orders)
    fallout: Fallout = Field(default_factory=Fallout)
    groups: Groups = Field(default_factory=Groups)
    grades: list[GradeRule] = Field(default_factory=_usual_grades, max_length=limits.GRADES_MAX)
    route: list[RouteSettings] = Field(default_factory=list, max_length=limits.ROUTES_MAX)
    routes_file: Path | None = None  #: more of them, as CSV
    receipt_endpoint: list[ReceiptEndpoint] = Field(
        default_factory=list, max_length=limits.RECEIPT_ENDPOINTS_MAX
    )
    ne: list[NESettings] = Field(default_factory=list)

    @field_validator("tokens")
    @classmethod
    def _tokens_differ(cls, tokens: list[Token], info: ValidationInfo) -> list[Token]:
        if not tokens and not info.data.get("accounts", True):
            raise ValueError("neither tokens nor accounts: nobody could ask anything")
        if len({token.token.get_secret_value() for token in tokens}) != len(tokens):
            raise ValueError("two sources share a token; the source is told by it")
        return tokens

    @field_validator("accounts")
    @classmethod
    def _users_differ(cls, accounts: list[Account]) -> list[Account]:
        users = [account.user for account in accounts]
        twice = sorted({user for user in users if users.count(user) > 1})
        if twice:
            raise ValueError(f"two accounts have the user {twice}; the source is told by it")
        return accounts

    @field_validator("ne")
    @classmethod
    def _names_differ(cls, elements: list[NESettings]) -> list[NESettings]:
        names = [element.name for element in elements]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two network elements are named {twice}")
        return elements

    @field_validator("receipt_endpoint")
    @classmethod
    def _endpoints_differ(cls, endpoints: list[ReceiptEndpoint]) -> list[ReceiptEndpoint]:
        names = [endpoint.name for endpoint in endpoints]
        if len(set(names)) != len(names):
            raise ValueError("two receipt endpoints have one name")
        defaults = [endpoint.source for endpoint in endpoints if endpoint.is_default]
        if len(set(defaults)) != len(defaults):
            raise ValueError("a source has two default endpoints")
        return endpoints

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Read the file and the environment; raise one ConfigError that lists all that is wrong."""
    from pydantic import ValidationError

    try:
        document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        return Settings(**document)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']) or '(top)'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError(f"{path} is not usable:\n" + "\n".join(lines)) from None
