"""Plugin hosts on demonstration plugins, in real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginStateStore
from teleconsult.plugin_host import PluginConfig, PluginHost
from tests.plugins import install


@pytest.fixture
def store() -> PluginStateStore:
    return MemoryPluginStateStore()


@pytest.fixture
def plugin_host(tmp_path: Path, store: PluginStateStore) -> Iterator[Callable[..., PluginHost]]:
    """`plugin_host("misbehaving", fault_limit=2)`: a started host on these demonstration plugins alone."""
    hosts: list[PluginHost] = []

    def start(*names: str, **config: Any) -> PluginHost:
        folder = tmp_path / f"plugins-{len(hosts)}"
        folder.mkdir()
        values = {"only": frozenset(names), "paths": (install(folder, *names),), "load_deadline": 20.0, **config}
        host = PluginHost(PluginConfig(**values), store)
        hosts.append(host)
        host.start()
        return host

    yield start
    for host in hosts:
        host.stop()
