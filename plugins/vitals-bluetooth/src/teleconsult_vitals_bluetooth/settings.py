"""What can be set, as the administrator's page shows it."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, field_validator

_LARGEST_USER = 254


class BluetoothSettings(BaseModel):
    """Settings of all Bluetooth devices of this node."""

    radio: str = Field(
        default="",
        max_length=200,
        title="Radio 蓝牙适配器",
        description="Empty: this computer's Bluetooth. Or a controller of its own, such as usb:0. "
        "留空使用本机蓝牙；也可指定独立控制器，如 usb:0。",
    )
    timezone: str = Field(
        default="Asia/Shanghai",
        title="Time zone 时区",
        description="Which local time the devices' clocks show. 设备时钟所用的当地时间。",
    )
    user_index: int = Field(
        default=-1,
        ge=-1,
        le=_LARGEST_USER,
        title="User on shared devices 多用户设备的用户编号",
        description="Take this user's readings alone; -1 takes everybody's. Readings without a user number, or of the "
        "unknown user 255, are taken too. 只接收该用户的测量；-1 表示接收全部用户。"
        "未带用户编号或用户未知（255）的测量同样接收。",
    )
    users: list[str] = Field(
        default=[],
        max_length=100,
        title="User by device 各设备的用户编号",
        description="Where devices differ: one a line, as DEVICE_ID=NUMBER, with the device's id as a search shows it "
        "(ble-AA:BB:CC:DD:EE:FF=1). Others keep to the number above. Readings without a user number, or of the unknown "
        "user 255, are taken too. 各设备不同时每行填写一个：设备标识=编号"
        "（标识见搜索结果，如 ble-AA:BB:CC:DD:EE:FF=1）；其余设备按上面的编号。"
        "未带用户编号或用户未知（255）的测量同样接收。",
    )
    search_seconds: float = Field(
        default=120.0,
        ge=1.0,
        le=3600.0,
        title="Search 搜索时长",
        description="How long one search for a device lasts, in seconds. 每次搜索设备的时长（秒）。",
    )
    trusted_days: int = Field(
        default=30,
        ge=1,
        le=366,
        title="Trusted age 可信时限",
        description="How old a reading may say it is if the device's clock cannot be checked, in days. "
        "无法核对设备时钟时，测量时间最多可早多少天。",
    )
    history: bool = Field(
        default=False,
        title="Older records 历史记录",
        description="Take also what a glucose meter stored before it was first connected, and not its newest record "
        "alone: hundreds may wait in the tray then. 血糖仪首次连接时读取此前全部存储记录；不勾选则只读取最新一条。",
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {value!r}") from error
        return value

    @field_validator("users")
    @classmethod
    def _pairs(cls, value: list[str]) -> list[str]:
        devices = [_user_of(line)[0] for line in value]
        if twice := next((device for device in devices if devices.count(device) > 1), None):
            raise ValueError(f"{twice} is named twice 同一设备重复：{twice}")
        return value

    def user_of(self, device_id: str) -> int:
        """Whose readings of this device are taken; -1 for everybody's."""
        return dict(map(_user_of, self.users)).get(_known_as(device_id), self.user_index)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the devices' clocks."""
        return ZoneInfo(self.timezone)


def _known_as(device_id: str) -> str:
    """The id, however a person wrote it down."""
    return device_id.strip().lower().removeprefix("ble-")


def _user_of(line: str) -> tuple[str, int]:
    """A device and its user. Raises ValueError with what is to be written."""
    device, _, number = line.rpartition("=")
    device, number = _known_as(device), number.strip()
    if not (device and re.fullmatch(r"-1|[0-9]{1,3}", number) and int(number) <= _LARGEST_USER):
        raise ValueError(
            f"write DEVICE_ID=NUMBER, the number from 0 to {_LARGEST_USER} or -1, and not {line[:80]!r} "
            f"请写成“设备标识=编号”，编号为 0 至 {_LARGEST_USER} 或 -1"
        )
    return device, int(number)
