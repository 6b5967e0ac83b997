"""A home folder whose Chromium trusts more authorities, as a person does who has installed their certificates."""

from __future__ import annotations

import subprocess
from pathlib import Path


def home_that_trusts(folder: Path, *authorities: Path) -> Path:
    """Make a home folder in `folder`; authorities are certificates (PEM). Needs certutil of libnss3-tools.

    Raises FileNotFoundError without certutil, subprocess.CalledProcessError if the certificate cannot be read.
    """
    store = folder / ".pki" / "nssdb"
    store.mkdir(parents=True, exist_ok=True)
    for arguments in (
        ["-N", "--empty-password"],
        *(["-A", "-t", "C,,", "-n", f"teleconsult {at}", "-i", str(one)] for at, one in enumerate(authorities)),
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
    return folder
