"""Which NE has which part in group business (docs/groups.md)."""

from typing import Final

from hlrd.config import ConfigError, Settings
from hlrd.domain.group import GroupPlaces
from hlrd.domain.role import Role

_DIALECTS: Final = {
    "nationwide": "nationwide_management",
    "class1": "class1_platform",
    "gateway": "iot_gateway",
    "province_platform": "province_platform",
    "province_management": "province_management",
    "bboss": "bboss_relay",
    "boss1": "boss1_relay",
    "registry": "pboss_registry",
}
"""What dialect each part speaks, by the name of its setting."""


def group_places(settings: Settings) -> GroupPlaces:
    """Each part's NE: the one that is named, or the only one that could be meant."""
    found = {part: _part(settings, part, dialect) for part, dialect in _DIALECTS.items()}
    relays = {"BBOSS": found["bboss"], "BOSS1": found["boss1"]}
    return GroupPlaces(
        nationwide=found["nationwide"],
        class1=found["class1"],
        gateway=found["gateway"],
        province_platform=found["province_platform"],
        province_management=found["province_management"],
        relays={route: ne for route, ne in relays.items() if ne},
        registry=found["registry"],
        role_missing=role_missing(settings),
    )


def role_missing(settings: Settings) -> Role | None:
    """That another hlrd plays."""
    missing = set(Role).difference(settings.groups.roles)
    return missing.pop() if missing else None


def _part(settings: Settings, part: str, dialect: str) -> str:
    able = [ne.name for ne in settings.ne if ne.dialect == dialect]
    named: str | None = getattr(settings.groups, part)
    if named is None:
        return able[0] if len(able) == 1 else ""
    if named not in able:
        text = f"groups.{part}: no network element {named!r} of dialect {dialect} is configured"
        raise ConfigError(text)
    return named
