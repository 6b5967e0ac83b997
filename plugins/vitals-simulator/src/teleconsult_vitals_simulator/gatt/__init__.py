"""Virtual Bluetooth devices: real GATT servers on virtual radios, for tests, training and the demonstration.

This package is what the entry-point group `teleconsult.virtual_devices` names: it says which kinds of devices
there are and how they can misbehave, and `python -m` of it runs them (docs/plugins/virtual-devices.md tells what
that process prints and obeys). Importing it imports no Bluetooth.

It reads nothing: what a vehicle makes of these devices is the work of the same reader that reads real ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from teleconsult.plugin_api import Text

KINDS: Mapping[str, Text] = {
    "blood-pressure": Text(en="upper-arm cuff", zh="臂式血压计"),
    "oximeter": Text(en="finger oximeter", zh="指夹血氧仪"),
    "thermometer": Text(en="ear thermometer", zh="耳温计"),
    "glucose": Text(en="glucose meter", zh="血糖仪"),
    "scale": Text(en="body scale", zh="体重秤"),
    "heart-rate": Text(en="heart rate belt", zh="心率带"),
}
"""Every kind that can be simulated, and what it is called."""

MISBEHAVIOURS: Mapping[str, Text] = {
    "drop": Text(en="lose the link in the middle of a measurement", zh="测量中途断开连接"),
    "repeat": Text(en="send every reading three times", zh="同一读数发送三次"),
    "malformed": Text(en="send a frame that is cut off", zh="发送不完整的数据帧"),
    "oversize": Text(en="send a frame with much behind its end", zh="发送超长的数据帧"),
    "flood": Text(en="send thousands of readings at once", zh="瞬间发送数千条读数"),
    "wrong-clock": Text(en="measure with a clock that is years off", zh="设备时钟相差数年"),
    "out-of-range": Text(en="report values that no body has", zh="报告不可能的数值"),
    "low-battery": Text(en="measure with an almost empty battery", zh="电量将尽"),
    "error": Text(en="fail to measure and say so", zh="测量失败并报告错误"),
}
"""Everything that a device can do wrong on command."""
