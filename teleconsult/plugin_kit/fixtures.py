"""pytest fixtures with a node in them, for plugin authors. Installed with teleconsult, beside `plugin_api.testing`.

`virtual_vehicle` stores what a plugin reads from a simulated device with an invented patient's open encounter;
`virtual_hub` calls a plugin's other hooks as a hub does. A plugin that is not installed is taken from the project
whose tests run. Patient, encounter and device without a node are in `teleconsult.plugin_api.testing`. The node is
imported when a fixture is used, not when pytest starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from teleconsult.plugin_kit._virtual import VirtualHub, VirtualVehicle


@pytest.fixture
def virtual_vehicle(request: pytest.FixtureRequest) -> Callable[..., VirtualVehicle]:
    """`with virtual_vehicle("my-scale", SimulatedScale()) as vehicle:` – its `device`, `do(…)`, `kept(kind)`."""
    from teleconsult.plugin_kit._virtual import VirtualVehicle

    def make(plugin: str, device: Any, **more: Any) -> VirtualVehicle:
        return VirtualVehicle(plugin, device, **{"project": request.config.rootpath, **more})

    return make


@pytest.fixture
def virtual_hub(request: pytest.FixtureRequest) -> Callable[..., VirtualHub]:
    """`with virtual_hub("my-panel") as hub:` – its `plugins` (all hooks, with deadlines), `panels(context)`."""
    from teleconsult.plugin_kit._virtual import VirtualHub

    def make(plugin: str, **more: Any) -> VirtualHub:
        return VirtualHub(plugin, **{"project": request.config.rootpath, **more})

    return make
