"""Four simulated devices of one simulated person, for demonstrations, training and tests."""

from __future__ import annotations

from teleconsult.plugin_api import Command, PluginInfo, ReaderType, Text, hookimpl
from teleconsult_vitals_simulator.devices import Cuff, EcgMonitor, Oximeter, Thermometer
from teleconsult_vitals_simulator.settings import SimulatorSettings

_ON_COMMAND = (Command.MEASURE, Command.CANCEL)


@hookimpl
def describe_plugin() -> PluginInfo:
    """What this plugin is."""
    return PluginInfo(
        title=Text(en="Simulated vitals", zh="模拟体征设备"),
        summary=Text(
            en="A cuff, an oximeter, a thermometer and an ECG monitor without hardware, for showing and training.",
            zh="无需硬件的模拟血压计、血氧仪、体温计和心电监护仪，用于演示和培训。",
        ),
        api_version="1.0",
        settings=SimulatorSettings,
    )


@hookimpl
def register_device_readers() -> list[ReaderType]:
    """The four virtual devices."""
    return [
        ReaderType("cuff", Text(en="Simulated cuff", zh="模拟血压计"), Cuff, Cuff.kinds, commands=_ON_COMMAND),
        ReaderType(
            "oximeter",
            Text(en="Simulated oximeter", zh="模拟血氧仪"),
            Oximeter,
            Oximeter.kinds,
            Oximeter.waveforms,
        ),
        ReaderType(
            "thermometer",
            Text(en="Simulated thermometer", zh="模拟体温计"),
            Thermometer,
            Thermometer.kinds,
            commands=_ON_COMMAND,
        ),
        ReaderType(
            "ecg",
            Text(en="Simulated ECG monitor", zh="模拟心电监护仪"),
            EcgMonitor,
            EcgMonitor.kinds,
            EcgMonitor.waveforms,
        ),
    ]
