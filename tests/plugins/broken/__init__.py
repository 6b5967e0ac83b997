"""Deliberately broken plugins: what `plugin new` makes, each with one fault, and the rule that must say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from teleconsult.plugin_kit import make_project

READER, FORM, PANEL, ROUTE = "reader.py", "programme.py", "__init__.py", "route.py"
_CONNECT = "            stream, writer = await asyncio.open_connection"
_CLOSE = "        finally:\n            writer.close()"
_IMPORT = "import asyncio\n"


@dataclass(frozen=True)
class Broken:
    """One fault: in `file` of the package, each `old` text becomes `new`. `rule` is the line that falls short."""

    name: str
    kind: str
    rule: str
    file: str
    changes: tuple[tuple[str, str], ...]

    def make(self, folder: Path) -> Path:
        """Make the broken project in `folder`."""
        project = make_project(self.name, self.kind, folder)
        file = project / "src" / self.name.replace("-", "_") / self.file
        text = file.read_text(encoding="utf-8")
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.name}: the template has changed: {old!r}"
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
        return project


ALL = (
    Broken(
        "imports-the-core",
        "device",
        "imports-api-only",
        READER,
        (
            (
                "from typing import ClassVar\n",
                "from typing import ClassVar\n\nfrom teleconsult.domain import measurement\n",
            ),
        ),
    ),
    Broken(
        "wrong-unit",
        "device",
        "units-stated",
        READER,
        (("(given.value, given.unit)", '(given.value, "[degF]")'),),
    ),
    Broken(
        "nan-becomes-a-reading",
        "device",
        "error-frames-refused",
        READER,
        (
            (
                '            await session.status("failed", AGAIN)\n            return\n',
                '            given = Temperature(9999, session.now(), Decimal("0"), "Cel", 85)\n',
            ),
            ("from datetime import timedelta\n", "from datetime import timedelta\nfrom decimal import Decimal\n"),
        ),
    ),
    Broken(
        "will-not-cancel",
        "device",
        "cancels-cleanly",
        READER,
        (
            (
                _CLOSE,
                "        finally:\n            if not self.read:\n                await asyncio.sleep(5)\n"
                "            writer.close()",
            ),
            ("    settings: ThermometerSettings\n", "    settings: ThermometerSettings\n    read = False\n"),
            ("        right = abs(", "        self.read = True\n        right = abs("),
        ),
    ),
    Broken(
        "leaks-threads",
        "device",
        "leaks-nothing",
        READER,
        (
            (_IMPORT, "import asyncio\nimport threading\n"),
            (_CONNECT, f"            threading.Thread(target=threading.Event().wait, daemon=True).start()\n{_CONNECT}"),
        ),
    ),
    Broken(
        "leaks-sockets",
        "device",
        "leaks-nothing",
        READER,
        (
            (_IMPORT, "import asyncio\nimport socket\n"),
            (
                "    settings: ThermometerSettings\n",
                "    settings: ThermometerSettings\n    held: ClassVar[list[socket.socket]] = []\n",
            ),
            (_CONNECT, f"            self.held.append(socket.socket())\n{_CONNECT}"),
        ),
    ),
    Broken(
        "no-sequence-or-time",
        "device",
        "repeats-recognised",
        READER,
        (
            ('            sequence=f"{given.record}-{given.clock.isoformat()}",\n', ""),
            ("            taken_at=given.clock if right else None,\n", ""),
        ),
    ),
    Broken(
        "blocks-the-loop",
        "device",
        "loop-stays-free",
        READER,
        ((_IMPORT, "import asyncio\nimport time\n"), (_CONNECT, f"            time.sleep(1.0)\n{_CONNECT}")),
    ),
    Broken(
        "searches-for-ever",
        "device",
        "discovery-ends",
        READER,
        (
            ("        yield DeviceInfo(\n", "        found = DeviceInfo(\n"),
            (
                "            address=(settings or ThermometerSettings()).address,\n        )\n",
                "            address=(settings or ThermometerSettings()).address,\n        )\n"
                "        while True:\n            yield found\n            try:\n"
                "                await asyncio.sleep(60)\n"
                "            except asyncio.CancelledError:\n                continue\n",
            ),
        ),
    ),
    Broken(
        "breaks-when-lost",
        "device",
        "lost-device-is-no-fault",
        READER,
        (
            (
                "            writer.close()\n        raise DeviceUnavailable(LOST)",
                '            writer.close()\n        raise RuntimeError("gone")',
            ),
        ),
    ),
    Broken(
        "english-only",
        "device",
        "texts-in-both-languages",
        READER,
        ((', zh="未测得体温，请重新测量。"', ""),),
    ),
    Broken(
        "exits-in-a-hook",
        "panel",
        "panels-valid",
        PANEL,
        (
            ("from pydantic import", "import sys\n\nfrom pydantic import"),
            ("    if not count:\n        return []", "    if not count:\n        sys.exit(5)"),
        ),
    ),
    Broken(
        "guesses",
        "followup",
        "assess-repeatable",
        FORM,
        (
            ("from datetime import timedelta\n", "from datetime import timedelta\nfrom random import randint\n"),
            ("days = 90 if", "days = randint(60, 90) if"),
        ),
    ),
    Broken(
        "raises-when-refused",
        "referral",
        "delivery-failure",
        ROUTE,
        (
            ("        except HTTPError:\n            return DeliveryReceipt(delivered=False, sentence=REFUSED)\n", ""),
            ("        except (OSError, ValueError, KeyError, TypeError):", "        except KeyError:"),
        ),
    ),
)
