"""Registers every blueprint, and gives templates what the shell of each page shows."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the blueprints. Each module of this room that has a `bp` is listed here."""
    from teleconsult.http import admin, auth, board, calls, devices, encounters, outbox, patients, shell, today
    from teleconsult.services.node import Node

    node: Node = app.extensions["teleconsult"]
    shell.init_app(app)
    for module in (auth, calls, *((admin, board) if node.is_hub else (today, patients, encounters, devices, outbox))):
        app.register_blueprint(module.bp)
