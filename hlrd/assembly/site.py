"""What every room is built from."""

import os
from pathlib import Path
from random import Random

from hlrd.assembly import network
from hlrd.config import Settings
from hlrd.domain.delivery import Endpoints
from hlrd.domain.routing import RouteTable
from hlrd.pool.grade import Grades, Rule
from hlrd.pool.vault import KeyVault
from hlrd.runtime.clock import SystemClock


class Site:
    """Raises ConfigError for settings that are of no use."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self.settings = settings
        self.node = settings.node
        self.dsn = dsn
        self.clock = SystemClock()
        self.chance = Random()
        self.keys = {
            name: bytes.fromhex(key.get_secret_value()) for name, key in settings.keys.keys.items()
        }
        self.vault = KeyVault(self.keys, settings.keys.current, os.urandom)
        self.routes = network.routes(settings)
        self.homes = RouteTable(network.homes(settings))
        self.grades = Grades(Rule(rule.grade, rule.tail) for rule in settings.grades)
        self.endpoints = Endpoints()

    @property
    def spool_folder(self) -> Path:
        """Where files wait: those of card vendors, and in a folder of it those of batches."""
        beside = self.settings.database.data_dir.parent / "imports"
        return (self.settings.imports.folder or beside).expanduser().resolve()
