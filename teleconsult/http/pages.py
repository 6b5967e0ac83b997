"""Registers every blueprint, and gives templates what the shell of each page shows."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the blueprints. Each module of this room that has a `bp` is listed here."""
    from teleconsult.http import (
        admin,
        auth,
        board,
        calls,
        consult_parts,
        consults,
        devices,
        encounters,
        link,
        outbox,
        patients,
        queue,
        record,
        shell,
        today,
        tray,
        trends,
        trust,
    )
    from teleconsult.services.node import Node

    node: Node = app.extensions["teleconsult"]
    shell.init_app(app)
    both = (auth, calls, consults, consult_parts, record, trends, trust)
    hub_only, vehicle_only = (admin, board, link, queue), (today, patients, encounters, tray, devices, outbox)
    for module in (*both, *(hub_only if node.is_hub else vehicle_only)):
        app.register_blueprint(module.bp)
    app.extensions["csrf"].exempt(link.bp)
    if not node.is_hub:
        app.register_blueprint(trends.person_bp)
