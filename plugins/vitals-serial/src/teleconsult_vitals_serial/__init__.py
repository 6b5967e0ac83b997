"""A teleconsult plugin that reads oximeters over serial lines and analysers over HL7 v2."""

from __future__ import annotations

from teleconsult.plugin_api import PluginInfo, ReaderType, Text, hookimpl
from teleconsult_vitals_serial.analyser import NetworkAnalyser, SerialAnalyser
from teleconsult_vitals_serial.oximeter import Oximeter
from teleconsult_vitals_serial.settings import SerialSettings


@hookimpl
def describe_plugin() -> PluginInfo:
    """What this plugin is."""
    return PluginInfo(
        title=Text(en="Serial oximeters and analysers", zh="串口血氧仪与检验仪"),
        summary=Text(
            en="Nonin oximeters over USB or RS-232; analysers that send HL7 v2 results over the network or a cable.",
            zh="通过 USB 或 RS-232 连接的 Nonin 血氧仪；通过网络或串口发送 HL7 v2 结果的检验仪。",
        ),
        api_version="1.0",
        settings=SerialSettings,
    )


@hookimpl
def register_device_readers() -> list[ReaderType]:
    """An oximeter on a cable, and an analyser on the network or on a cable."""
    return [
        ReaderType(
            "nonin-oximeter",
            Text(en="Nonin oximeter (USB, RS-232)", zh="Nonin 血氧仪（USB、RS-232）"),
            Oximeter,
            Oximeter.kinds,
            Oximeter.waveforms,
        ),
        ReaderType(
            "hl7-analyser",
            Text(en="Analyser (HL7 over the network)", zh="检验仪（HL7 网络）"),
            NetworkAnalyser,
            NetworkAnalyser.kinds,
        ),
        ReaderType(
            "hl7-analyser-serial",
            Text(en="Analyser (HL7 over a serial port)", zh="检验仪（HL7 串口）"),
            SerialAnalyser,
            SerialAnalyser.kinds,
        ),
    ]
