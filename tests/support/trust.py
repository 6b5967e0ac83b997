"""Browsers that trust more authorities, as a person's does who has installed their certificates."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*", re.DOTALL)


def home_that_trusts(folder: Path, *authorities: Path) -> Path:
    """Make a home folder in `folder` whose Chromium trusts these authorities. Raises as `trust` does."""
    trust(folder / ".pki" / "nssdb", *authorities)
    return folder


def trust(store: Path, *authorities: Path) -> None:
    """Make the certificate store (NSS) in this folder, for Firefox its profile, trust authorities: files of one
    certificate or more (PEM). Needs certutil of libnss3-tools.

    Raises FileNotFoundError without certutil, ValueError for a file without a certificate, and
    subprocess.CalledProcessError for a certificate that cannot be read.
    """
    store.mkdir(parents=True, exist_ok=True)
    certificates = [one for path in authorities for one in _certificates(path)]
    certutil = ["certutil", "-d", f"sql:{store}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, capture_output=True)
    for at, certificate in enumerate(certificates):
        # certutil takes the first certificate of a file and leaves the rest without a word.
        arguments = ["-A", "-a", "-t", "C,,", "-n", f"teleconsult {at}"]
        subprocess.run([*certutil, *arguments], input=certificate, check=True, capture_output=True)


def _certificates(path: Path) -> list[bytes]:
    found = CERTIFICATE.findall(path.read_bytes())
    if not found:
        raise ValueError(f"{path} holds no certificate (PEM).")
    return found
