"""The typed settings of a node, read from the environment (`TELECONSULT_…`) and from command-line options.

Every setting has a default that works on one machine. This module reads; it starts nothing.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from teleconsult.domain.errors import N_


class NodeKind(StrEnum):
    """What this process is to the county."""

    HUB = "hub"
    VEHICLE = "vehicle"


class TlsMode(StrEnum):
    """What is wanted of HTTPS."""

    AUTO = "auto"
    OWN = "own"
    OFF = "off"


class TlsSource(StrEnum):
    """Where the certificate comes from that this node serves with."""

    GIVEN = "given"
    OWN = "own"
    NONE = "none"


LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(env_prefix="TELECONSULT_", extra="ignore", frozen=True)

    kind: NodeKind = NodeKind.HUB
    data_dir: Path = Field(
        default=Path("var"), description=N_("Where the database, images and keys of this node live.")
    )
    database_url: str | None = Field(
        default=None,
        description=N_("SQLAlchemy URL; default is SQLite in the data directory. postgresql+psycopg://…"),
    )
    host: str = Field(default="127.0.0.1", description=N_("Address to listen on."))
    port: int = Field(default=8400, ge=0, le=65535, description=N_("Port to listen on; 0 takes any free one."))
    secret_key: str | None = Field(
        default=None, description=N_("Signs cookies; made and kept in the data directory if unset.")
    )
    language: str = Field(default="zh", description=N_("Language of people who have not chosen one: zh or en."))
    allow_demo_data: bool = Field(
        default=False, description=N_("Accept ID numbers of invented people (region 000000).")
    )

    hub_url: str | None = Field(default=None, description=N_("Vehicle only: address of the hub."))
    hub_ca: Path | None = Field(
        default=None,
        description=N_("Vehicle only: the hub's own authority (PEM), where no public one vouches for the hub."),
    )
    vehicle_key: str | None = Field(
        default=None, description=N_("Vehicle only: the key made by `teleconsult vehicle-key`.")
    )

    session_hours: float = Field(default=12, gt=0, description=N_("A login ends after so many hours at the latest."))
    session_idle_minutes: float = Field(default=120, gt=0, description=N_("…and after so many minutes without use."))
    login_tries: int = Field(default=5, ge=1, description=N_("Wrong passwords for one name before it has to wait."))
    login_wait_minutes: float = Field(default=10, gt=0, description=N_("How long it then has to wait."))
    consult_expiry_hours: float = Field(
        default=72,
        gt=0,
        description=N_("A request nobody took expires. A site's choice: no national rule sets it."),
    )
    interrupted_minutes: float = Field(
        default=30, gt=0, description=N_("An interrupted call that nobody resumed becomes 'opinion due'.")
    )
    max_upload_mb: float = Field(default=12, gt=0, description=N_("Largest image a vehicle can attach."))

    media_workers: int | None = Field(
        default=None, ge=1, description=N_("Media worker processes; default one per core.")
    )
    media_addresses: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description=N_(
            "Addresses or names offered for media, comma separated: the machine's own replace those found, others "
            "(the public address before a NAT that keeps port numbers) are added."
        ),
    )
    media_ports: str | None = Field(default=None, description=N_("UDP port range for media, such as 40000-40999."))
    ice_servers: str | None = Field(default=None, description=N_("STUN/TURN servers for browsers, as a JSON list."))

    load_plugins: str | None = Field(
        default=None, description=N_("Only these plugins, comma separated; empty for none.")
    )
    redis_url: str | None = Field(default=None, description=N_("Message queue when more than one hub process runs."))
    trust_proxy: int = Field(default=0, ge=0, description=N_("Number of reverse proxies in front whose headers count."))
    https: bool = Field(default=False, description=N_("A proxy in front serves the pages over HTTPS: secure cookies."))
    tls: TlsMode = Field(
        default=TlsMode.AUTO,
        description=N_(
            "HTTPS by this node: own makes a local authority, off none, auto own where other machines can reach it."
        ),
    )
    tls_cert: Path | None = Field(default=None, description=N_("Certificate chain (PEM) to serve HTTPS with."))
    tls_key: Path | None = Field(default=None, description=N_("Its private key (PEM)."))
    log_json: bool = Field(default=False, description=N_("Write the log as JSON lines."))
    log_level: str = Field(default="info", description=N_("How much the log says: debug, info, warning or error."))

    @property
    def url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'teleconsult.db').absolute()}"

    @property
    def node_id(self) -> str:
        """ "hub", or the id of the vehicle whose key this node has. Raises ValueError for a vehicle without one."""
        if self.is_hub:
            return "hub"
        vehicle_id, dot, _ = (self.vehicle_key or "").partition(".")
        if not dot:
            raise ValueError("a vehicle node needs its vehicle key")
        return vehicle_id

    @property
    def is_hub(self) -> bool:
        """Whether this node is the hub."""
        return self.kind is NodeKind.HUB

    @property
    def tls_source(self) -> TlsSource:
        """Whose certificate this node serves with. By default its own authority's, unless files are given, a proxy does
        it, or only this machine can reach the node and no authority was made: localhost is a secure context."""
        if self.tls is TlsMode.OFF:
            return TlsSource.NONE
        if self.tls_cert is not None:
            return TlsSource.GIVEN
        if self.tls is TlsMode.OWN:
            return TlsSource.OWN
        if self.https or (self.host in LOOPBACK and not (self.data_dir / "tls" / "authority.crt").is_file()):
            return TlsSource.NONE
        return TlsSource.OWN

    @property
    def only_plugins(self) -> frozenset[str] | None:
        """The names of the only plugins to load; None for all."""
        if self.load_plugins is None:
            return None
        return frozenset(name.strip() for name in self.load_plugins.split(",") if name.strip())

    @property
    def media_port_range(self) -> tuple[int, int] | None:
        """First and last UDP port for media; None for any free ones."""
        if not self.media_ports:
            return None
        first, _, last = self.media_ports.partition("-")
        return int(first), int(last or first)

    @field_validator("media_ports")
    @classmethod
    def _is_range(cls, value: str | None) -> str | None:
        if value:
            ports = [int(part) if part.strip().isdecimal() else 0 for part in value.split("-")]
            if len(ports) > 2 or not 1024 <= ports[0] <= ports[-1] <= 65535:
                raise ValueError("write two ports from 1024 to 65535, such as 40000-40999")
        return value

    @property
    def files_dir(self) -> Path:
        """Where images are kept."""
        return self.data_dir / "files"

    @field_validator("media_addresses", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
