"""How long the idle numbers of a pool will last. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from hlrd.domain.orders import BEIJING
from hlrd.pool.draw import Flow

_DAY_S: Final = 86_400.0
_YOUNG_S: Final = 3_600.0  # a day younger than this says nothing about its rate


@dataclass(frozen=True, slots=True)
class Day:
    """Numbers of a pool and province that orders drew and put back on one day of Beijing."""

    pool: str
    province: str
    day: date
    drawn: int
    returned: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """One pool and province."""

    pool: str
    province: str
    idle: int
    idle_by_hlr: Mapping[str, int]
    drawn_today: int  #: less what was put back
    drawn_yesterday: int
    numbers_per_day: float  #: at today's rate
    days_left: float | None  #: None: at this rate it lasts for ever
    low_water: int | None
    is_low: bool


def today(now: datetime) -> date:
    return now.astimezone(BEIJING).date()


def forecasts(
    flows: Iterable[Flow],
    days: Iterable[Day],
    low_waters: Mapping[str, int | None],
    now: datetime,
) -> list[Forecast]:
    """`days`: of today and yesterday."""
    drawn = {(day.pool, day.province, day.day): day.drawn - day.returned for day in days}
    idle: dict[tuple[str, str], dict[str, int]] = {}
    for flow in flows:
        idle.setdefault((flow.pool, flow.province), {})[flow.hlr] = flow.idle
    this_day = today(now)
    return [
        _forecast(
            key,
            by_hlr,
            low_water=low_waters.get(key[0]),
            drawn_today=drawn.get((*key, this_day), 0),
            drawn_yesterday=drawn.get((*key, this_day - timedelta(days=1)), 0),
            passed_s=_passed_s(now),
        )
        for key, by_hlr in sorted(idle.items())
    ]


def _forecast(
    key: tuple[str, str],
    by_hlr: Mapping[str, int],
    *,
    low_water: int | None,
    drawn_today: int,
    drawn_yesterday: int,
    passed_s: float,
) -> Forecast:
    idle = sum(by_hlr.values())
    is_young = passed_s < _YOUNG_S
    per_day = float(drawn_yesterday) if is_young else drawn_today * _DAY_S / passed_s
    return Forecast(
        pool=key[0],
        province=key[1],
        idle=idle,
        idle_by_hlr=by_hlr,
        drawn_today=drawn_today,
        drawn_yesterday=drawn_yesterday,
        numbers_per_day=round(per_day, 1),
        days_left=round(idle / per_day, 1) if per_day > 0 else None,
        low_water=low_water,
        is_low=low_water is not None and idle < low_water,
    )


def _passed_s(now: datetime) -> float:
    """Since midnight in Beijing."""
    local = now.astimezone(BEIJING)
    return (local - local.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
