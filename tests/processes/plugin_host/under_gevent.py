"""Run by test_gevent: the node's web process is monkey patched, and plugins must not hold it up there."""
# ruff: noqa: E402

from gevent import monkey

monkey.patch_all()

import sys
import time

import gevent

from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_api import DeviceInfo, PageContext, Reading
from teleconsult.plugin_host import DeviceAssignment, DeviceHost, PluginConfig, PluginHost

folder = sys.argv[1]
readings: list[Reading] = []
longest = 0.0


def tick() -> None:
    """Note the longest time in which nothing else could run."""
    global longest
    while True:
        began = time.monotonic()
        gevent.sleep(0.01)
        longest = max(longest, time.monotonic() - began)


only = frozenset({"misbehaving", "devices", "vitals-simulator"})
plugins = PluginHost(PluginConfig(only=only, paths=(folder,), panel_deadline=0.5), MemoryPluginStateStore())
plugins.start()
plugins.configure("misbehaving", {"how": "spin"})
devices = DeviceHost(
    plugins, on_reading=readings.append, on_waveform=lambda _: None, on_status=lambda _: None, config=None
)
ticker = gevent.spawn(tick)
devices.start_device(DeviceAssignment(DeviceInfo(device_id="ox", name="Oximeter"), "vitals-simulator", "oximeter"))
devices.start_device(DeviceAssignment(DeviceInfo(device_id="block", name="Block"), "devices", "block"))
panels = plugins.page_panels(PageContext(page="encounter", patient_id="p"))
deadline = time.monotonic() + 20
while not readings and time.monotonic() < deadline:
    gevent.sleep(0.05)
ticker.kill()
devices.close()
plugins.stop()
print(f"panels={len(panels)} readings={len(readings)} fault={plugins.plugin('misbehaving').last_error!r}")
print(f"longest={longest:.3f}")
