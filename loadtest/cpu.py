"""Processor time of a stack, by part, between two moments."""

import os
from collections.abc import Mapping
from contextlib import suppress

import psutil

from loadtest.stack import Stack


def seconds(stack: Stack) -> dict[str, float]:
    """Since each process began: daemon, postgres, emulators, and the client, which is us."""
    spent = {part: sum(map(with_children, pids)) for part, pids in stack.pids().items()}
    return {**spent, "client": with_children(os.getpid(), children=False)}


def us_per_order(
    before: Mapping[str, float], after: Mapping[str, float], orders: int
) -> dict[str, float]:
    return {part: round((after[part] - before[part]) / orders * 1e6, 1) for part in after}


def rss_mib(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss / 2**20)


def with_children(pid: int, *, children: bool = True) -> float:
    """Its own time, that of its living children, and that of those it has outlived."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        times = process.cpu_times()
        total = times.user + times.system
        if children:
            total += times.children_user + times.children_system
            total += sum(with_children(child.pid) for child in process.children())
    return total
