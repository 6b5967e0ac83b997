"""Administration: accounts, institutions, villages, vehicles and their keys, rounds, plugins, media, the audit.

At the hub only. Each module adds its pages to `bp`.
"""

from __future__ import annotations

from flask import Blueprint

from teleconsult.domain.roles import Role
from teleconsult.http.security import allow

bp = Blueprint("admin", __name__, url_prefix="/admin")

administrators = allow(Role.ADMINISTRATOR)

from teleconsult.http.admin import media, people, places, system, vehicles  # noqa: E402, F401 - they add their pages
