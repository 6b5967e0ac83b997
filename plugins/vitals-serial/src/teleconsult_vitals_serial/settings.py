"""What can be set, as the administrator's page shows it. One model for both sorts of devices of this plugin."""

from __future__ import annotations

import ipaddress
from datetime import timedelta, timezone
from enum import Enum
from functools import cached_property

from pydantic import BaseModel, Field, field_validator

from teleconsult_vitals_serial.hl7.coding import Coding, parse_codes
from teleconsult_vitals_serial.nonin.frames import Format


class OximeterFormat(Enum):
    """The maker's serial data format; `auto` listens and finds out."""

    AUTO = "auto"
    FORMAT_2 = "2"
    FORMAT_7 = "7"
    FORMAT_8 = "8"
    FORMAT_13 = "13"

    @property
    def number(self) -> Format | None:
        """None for `auto`."""
        return None if self is OximeterFormat.AUTO else Format(int(self.value))


class SerialSettings(BaseModel):
    """Settings of all oximeters and analysers of this node."""

    further_ports: str = Field(
        default="",
        max_length=500,
        title="Further serial ports 其他串口",
        description=(
            "Ports that the system does not list, with spaces between, such as /dev/rfcomm0. "
            "系统未列出的串口，多个以空格分隔，如 /dev/rfcomm0。"
        ),
    )
    oximeter_format: OximeterFormat = Field(
        default=OximeterFormat.AUTO,
        title="Oximeter: data format 血氧仪：数据格式",
        description=(
            "auto finds out; a number is also asked of the device. auto 为自动识别；选择数字时会同时向设备请求该格式。"
        ),
    )
    oximeter_baud: int = Field(default=9600, ge=1200, le=921_600, title="Oximeter: bits per second 血氧仪：波特率")
    oximeter_extended_average: bool = Field(
        default=False,
        title="Oximeter: average of eight beats 血氧仪：八次脉搏平均",
        description="Steadier, and slower to follow; four beats otherwise. 数值更平稳但响应较慢；不勾选则为四次平均。",
    )
    analyser_listen: str = Field(
        default="127.0.0.1:2575",
        max_length=500,
        title="Analyser: listen at 检验仪：监听地址",
        description=(
            "address:port, several with spaces between; each is one analyser. MLLP has no password: name an address "
            "of the vehicle's own network. 地址:端口，多个以空格分隔，每个对应一台检验仪。"
            "MLLP 没有密码，请填车载内网地址。"
        ),
    )
    analyser_allow: str = Field(
        default="",
        max_length=1000,
        title="Analyser: allowed senders 检验仪：允许的来源",
        description=(
            "IP addresses or networks with spaces between; empty allows all that reach the port. "
            "IP 地址或网段，以空格分隔；留空表示不限制。"
        ),
    )
    analyser_codes: str = Field(
        default="",
        max_length=4000,
        title="Analyser: codes of its own 检验仪：本地代码",
        description=(
            "code=kind.component, several with spaces between, such as GLU=glucose.glucose; add :unit if the device "
            "sends none. 代码=种类.项目，多个以空格分隔，如 GLU=glucose.glucose；设备不发送单位时可加 :单位。"
        ),
    )
    analyser_to_tray: bool = Field(
        default=True,
        title="Analyser: a person places each result 检验仪：结果由人归属",
        description=(
            "Results wait in the tray, since a sample may be of somebody who was here before. Switch it off for a "
            "monitor at the bedside. 标本可能属于之前的居民，结果先进入待归属列表；床旁监护仪可关闭此项。"
        ),
    )
    analyser_baud: int = Field(
        default=9600, ge=1200, le=921_600, title="Analyser on a serial port: bits per second 串口检验仪：波特率"
    )
    analyser_utc_offset: float = Field(
        default=8,
        ge=-12,
        le=14,
        title="Analyser: hours from UTC 检验仪：与 UTC 相差小时数",
        description="For times without a zone. 用于未注明时区的时间。",
    )

    @field_validator("analyser_listen")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for word in value.split():
            split_address(word)
        return value

    @field_validator("analyser_allow")
    @classmethod
    def _networks(cls, value: str) -> str:
        for word in value.split():
            ipaddress.ip_network(word, strict=False)
        return value

    @field_validator("analyser_codes")
    @classmethod
    def _codes(cls, value: str) -> str:
        parse_codes(value)
        return value

    @cached_property
    def coding(self) -> Coding:
        """How codes and units of analysers are understood here."""
        return Coding(parse_codes(self.analyser_codes))

    @property
    def zone(self) -> timezone:
        """The zone of times that come without one."""
        return timezone(timedelta(hours=self.analyser_utc_offset))

    def allows(self, address: str) -> bool:
        """Whether a sender may connect. An IPv4 address in IPv6 form is taken as what it is."""
        networks = [ipaddress.ip_network(word, strict=False) for word in self.analyser_allow.split()]
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return not networks or any(found in network for network in networks)


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[::1]:port". Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not address:port")
    return host.strip("[]"), int(port)
