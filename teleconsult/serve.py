"""Runs one node: builds it, starts its workers, serves its pages, and stops all of it cleanly.

`run()` must be the first to import most of the program: it expects that gevent has patched the standard
library already (`teleconsult.cli` sees to that).
"""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask

from teleconsult import app as application
from teleconsult import live, media, plugin_host
from teleconsult.domain.errors import N_, TeleconsultError, Unavailable
from teleconsult.services import calls, consults, devices
from teleconsult.services.media_health import MediaHealth
from teleconsult.services.node import Node
from teleconsult.settings import Settings, TlsSource
from teleconsult.store import Store, migrate
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.sync.uplink import Uplink
from teleconsult.tls import Authority, Contexts, OnlyHttps, SecureServer

log = structlog.get_logger(__name__)

LAPSE_EVERY = 30.0
"""Seconds between looks for consults whose time has run out."""

PLAIN_PATHS = ("/trust", "/static/", "/catalogue/")
"""What a node with HTTPS answers over plain HTTP: how to trust it, for browsers that do not yet."""


def configure_logging(settings: Settings) -> None:
    """One line an event on stderr; JSON if asked for. Personal data never goes into the text of a line."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    renderer: Any = structlog.processors.JSONRenderer()
    if not settings.log_json:
        # Plain tracebacks: the pretty ones show local variables, and those hold people's data.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if settings.log_json else structlog.processors.UnicodeDecoder(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=max(level, logging.WARNING))


def build_node(settings: Settings) -> Node:
    """A node on its database, which must be empty or up to date. Starts nothing."""
    try:
        node_id = settings.node_id
    except ValueError as error:
        raise Unavailable(
            N_("A vehicle node needs its key: make one at the hub with “teleconsult vehicle-key new”.")
        ) from error
    store = Store(settings.url)
    if migrate.current(store) is None:
        migrate.upgrade(store)  # a database that nobody has used yet
    if migrate.current(store) != migrate.head():
        raise Unavailable(N_("The database is not at this program's schema. Run: teleconsult db upgrade"))
    return Node(settings, store, node_id)


class Running:
    """A node with its workers started, and the way to stop them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._stops: list[Callable[[], None]] = []
        self._ending = threading.Event()

    def start(self) -> None:
        """Start plugins, then media and calls (hub) or devices and uplink (vehicle)."""
        node = self.node
        only = node.settings.only_plugins
        node.plugins = plugin_host.PluginHost(plugin_host.PluginConfig(only=only), DatabasePluginState(node.store))
        node.plugins.start()
        self._stops.append(node.plugins.stop)
        if node.is_hub:
            self._start_calls()
        else:
            self._start_vehicle()
        threading.Thread(target=self._watch_the_clock, name="lapse", daemon=True).start()

    def stop(self) -> None:
        """Stop everything that was started, the last first."""
        self._ending.set()
        for stop in reversed(self._stops):
            try:
                stop()
            except Exception:
                log.exception("stopping a part failed")
        self.node.store.close()

    def watch_certificate(self, contexts: Contexts) -> None:
        """Renew the certificate when it is due, until the node stops."""
        threading.Thread(target=contexts.watch, args=(self._ending,), name="certificate", daemon=True).start()

    def watch_logins(self, flask_app: Flask) -> None:
        """Close the sockets of logins that have ended, until the node stops."""
        threading.Thread(target=live.watch_logins, args=(flask_app, self._ending), name="logins", daemon=True).start()

    def _start_calls(self) -> None:
        node, settings = self.node, self.node.settings
        desk = calls.CallDesk(node)
        node.calls = desk
        addresses = media.plan(settings.media_addresses)
        workers = media.MediaWorkers(
            media.MediaConfig(
                workers=settings.media_workers or 0,
                addresses=addresses.addresses,
                announced=addresses.announced,
                ports=settings.media_port_range,
            ),
            desk.on_media_event,
        )
        workers.start()
        node.media = workers
        self._stops.append(workers.stop)
        desk.start()
        self._stops.append(desk.stop)
        node.media_health = MediaHealth(node, addresses)
        node.media_health.start()
        self._stops.append(node.media_health.stop)

    def _start_vehicle(self) -> None:
        node, settings = self.node, self.node.settings
        self._stops.append(devices.start_devices(node))
        if settings.hub_url and settings.vehicle_key:
            uplink = Uplink(node, settings.hub_url.rstrip("/"), settings.vehicle_key, settings.hub_ca)
            uplink.start()
            self._stops.append(uplink.stop)
        else:
            log.warning("no hub is set, so this vehicle stays off line", setting="TELECONSULT_HUB_URL")

    def _watch_the_clock(self) -> None:
        while not self._ending.wait(LAPSE_EVERY):
            try:
                consults.lapse(self.node)
            except TeleconsultError as error:
                log.warning("consults could not be looked through", reason=str(error))
            except Exception:
                log.exception("looking for lapsed consults failed")


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises Unavailable with the reason when the port cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                N_("Port %(port)s is taken by another program. Stop that program or choose another port with --port."),
                port=settings.port,
            ) from error
        raise Unavailable(
            N_("Cannot listen on %(host)s port %(port)s: %(reason)s."),
            host=settings.host,
            port=settings.port,
            reason=error.strerror,
        ) from error
    listener.listen(512)
    listener.setblocking(False)
    return listener


def run(settings: Settings) -> None:
    """Serve one node until SIGINT or SIGTERM. Writes its address to stdout as one line once pages are served."""
    from gevent import pywsgi

    configure_logging(settings)
    node = build_node(settings)
    contexts = _contexts(settings)
    listener = listen(settings)
    running = Running(node)
    running.start()
    flask_app = application.create_app(node)
    live.create_socketio(flask_app, node)
    running.watch_logins(flask_app)
    server: Any
    if contexts is None:
        server = pywsgi.WSGIServer(listener, flask_app, log=None, error_log=_ErrorLog())
    else:
        running.watch_certificate(contexts)
        server = SecureServer(listener, OnlyHttps(flask_app, PLAIN_PATHS), contexts, log=None, error_log=_ErrorLog())
    for number in (signal.SIGINT, signal.SIGTERM):
        _on_signal(number, server)
    server.start()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{'https' if contexts else 'http'}://{host}:{listener.getsockname()[1]}"
    log.info("serving", kind=str(settings.kind), address=address)
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    try:
        server._stop_event.wait()
    finally:
        running.stop()
        log.info("stopped", kind=str(settings.kind))


def _contexts(settings: Settings) -> Contexts | None:
    """The certificate to serve with; None for plain HTTP. Raises Unavailable when it cannot be used."""
    if settings.tls_source is TlsSource.OWN:
        return Contexts.of_authority(Authority(settings.data_dir))
    if settings.tls_source is TlsSource.GIVEN and settings.tls_cert is not None:
        return Contexts(settings.tls_cert, settings.tls_key)
    return None


def _on_signal(number: int, server: Any) -> None:
    import gevent

    gevent.signal_handler(number, lambda: gevent.spawn(server.stop, 1))


class _ErrorLog:
    """What the web server has to say about broken connections, at debug level."""

    def write(self, text: str) -> None:
        """One piece of text."""
        if text.strip():
            log.debug("web server", text=text.strip())

    def flush(self) -> None:
        """Nothing is held back."""
