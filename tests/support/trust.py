"""A home folder whose Chromium trusts one more authority, as a person does who has installed its certificate."""

from __future__ import annotations

import subprocess
from pathlib import Path


def home_that_trusts(authority: Path, folder: Path) -> Path:
    """Make a home folder in `folder`; `authority` is a certificate (PEM). Needs certutil of libnss3-tools.

    Raises FileNotFoundError without certutil, subprocess.CalledProcessError if the certificate cannot be read.
    """
    store = folder / ".pki" / "nssdb"
    store.mkdir(parents=True, exist_ok=True)
    for arguments in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "teleconsult", "-i", str(authority)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
    return folder
