"""Bluetooth LE health devices as readers of teleconsult: cuffs, oximeters, thermometers, meters, scales, straps."""

from __future__ import annotations

from teleconsult.plugin_api import Command, PluginInfo, ReaderType, Text, hookimpl
from teleconsult_vitals_bluetooth.cuff import Cuff
from teleconsult_vitals_bluetooth.meter import Meter
from teleconsult_vitals_bluetooth.oximeter import Oximeter
from teleconsult_vitals_bluetooth.scale import Scale
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.strap import Strap
from teleconsult_vitals_bluetooth.thermometer import Thermometer

_FETCH = (Command.FETCH,)


@hookimpl
def describe_plugin() -> PluginInfo:
    """What this plugin is."""
    return PluginInfo(
        title=Text(en="Bluetooth vitals", zh="蓝牙体征设备"),
        summary=Text(
            en="Cuffs, oximeters, thermometers, glucose meters, scales and heart rate straps over Bluetooth LE.",
            zh="通过低功耗蓝牙读取血压计、血氧仪、体温计、血糖仪、体重秤和心率带。",
        ),
        api_version="1.0",
        settings=BluetoothSettings,
    )


@hookimpl
def register_device_readers() -> list[ReaderType]:
    """One for each profile of the Bluetooth SIG that is read."""
    return [
        ReaderType("cuff", Cuff.title, Cuff, Cuff.kinds),
        ReaderType("oximeter", Oximeter.title, Oximeter, Oximeter.kinds, commands=_FETCH),
        ReaderType("thermometer", Thermometer.title, Thermometer, Thermometer.kinds),
        ReaderType("meter", Meter.title, Meter, Meter.kinds, commands=_FETCH),
        ReaderType("scale", Scale.title, Scale, Scale.kinds),
        ReaderType("strap", Strap.title, Strap, Strap.kinds),
    ]
