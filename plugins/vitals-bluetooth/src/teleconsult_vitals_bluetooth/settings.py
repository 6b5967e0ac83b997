"""What can be set, as the administrator's page shows it."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, field_validator


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
        le=254,
        title="User on shared devices 多用户设备的用户编号",
        description="Take this user's readings alone; -1 takes everybody's. 只接收该用户的测量；-1 表示接收全部用户。",
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

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the devices' clocks."""
        return ZoneInfo(self.timezone)
