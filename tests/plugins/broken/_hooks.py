"""Broken plugins of the other kinds."""

from __future__ import annotations

from tests.plugins.broken._broken import Broken

FORM, PANEL, ROUTE = "programme.py", "__init__.py", "route.py"

HOOKS = (
    Broken(
        "exits-in-a-hook",
        "panel",
        "panels-valid",
        "sys.exit",
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
        "and then",
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
        "deliver() raised URLError",
        ROUTE,
        (
            ("        except HTTPError:\n            return DeliveryReceipt(delivered=False, sentence=REFUSED)\n", ""),
            ("        except (OSError, ValueError, KeyError, TypeError):", "        except KeyError:"),
        ),
    ),
    Broken(
        "misspells-a-hook",
        "panel",
        "loads",
        "There is no hook page_panel(); there is page_panels()",
        PANEL,
        (("def page_panels(", "def page_panel("),),
    ),
    Broken(
        "misspells-an-argument",
        "panel",
        "loads",
        "page_panels() has the argument contekst; what it may take: context",
        PANEL,
        (("(context: PageContext", "(contekst: PageContext"),),
    ),
    Broken(
        "malformed-version",
        "panel",
        "api-version",
        "api_version",
        PANEL,
        (('api_version="1.0"', 'api_version="one"'),),
    ),
    Broken(
        "returns-text",
        "panel",
        "panels-valid",
        "page_panels() returned '<b>' and not a list",
        PANEL,
        (
            (
                "    count = len(context.readings)\n",
                '    return "<b>"  # type: ignore[return-value]\n' + "    count = len(context.readings)\n",
            ),
        ),
    ),
    Broken(
        "hangs-in-a-hook",
        "panel",
        "panels-in-time",
        "page_panels() went on for more than 3 s; it stands at __init__.py:",
        PANEL,
        (
            ("from pydantic import", "import time\n\nfrom pydantic import"),
            ("    count = len(context.readings)\n", "    time.sleep(3600)\n" + "    count = len(context.readings)\n"),
        ),
    ),
    Broken(
        "hook-leaks-threads",
        "panel",
        "hooks-leak-nothing",
        "page_panels(): ",
        PANEL,
        (
            ("from pydantic import", "import threading\n\nfrom pydantic import"),
            (
                "    count = len(context.readings)\n",
                "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
                + "    count = len(context.readings)\n",
            ),
        ),
    ),
    Broken(
        "rule-keeps-files",
        "followup",
        "hooks-leak-nothing",
        "open files or sockets",
        FORM,
        (
            ("from datetime import timedelta\n", "import os\nfrom datetime import timedelta\n"),
            ("        days = 90 if", '        os.open("/dev/null", os.O_RDONLY)\n        days = 90 if'),
        ),
    ),
)
