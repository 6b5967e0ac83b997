"""Images beside the database, under their SHA-256. Knows nothing of what is in them.

A file appears under its sum only when it is whole and the sum fits; what arrives in pieces is kept apart until then.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from teleconsult.domain.errors import N_, InvalidInput

_SUM = re.compile(r"[0-9a-f]{64}")


class FileStore:
    """A folder of files named by their SHA-256 (hexadecimal, small letters)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where the file is, or would be."""
        if not _SUM.fullmatch(sha256):
            raise InvalidInput(N_("This is not the name of a stored file."), field="sha256")
        return self._folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether the whole file is here."""
        return self.path(sha256).is_file()

    def put(self, content: bytes) -> str:
        """Store a whole file; gives its sum. Storing it twice is one file."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.has(sha256):
            part = self._part(sha256)
            with part.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            self._finish(part, sha256)
        return sha256

    def read(self, sha256: str, offset: int = 0, size: int = -1) -> bytes:
        """A piece of a file. Raises FileNotFoundError if it is not here."""
        with self.path(sha256).open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    def size(self, sha256: str) -> int:
        """Bytes of a whole file."""
        return self.path(sha256).stat().st_size

    def received(self, sha256: str) -> int:
        """How many bytes of an arriving file are here; its size when it is whole."""
        if self.has(sha256):
            return self.size(sha256)
        part = self._part(sha256)
        return part.stat().st_size if part.is_file() else 0

    def receive(self, sha256: str, offset: int, total: int, piece: bytes) -> int:
        """Add a piece; gives how many bytes are here now. A piece that does not follow on is not taken.

        Raises InvalidInput when the whole does not have the promised sum: it is then dropped, to be sent again.
        """
        have = self.received(sha256)
        if self.has(sha256) or offset != have:
            return have
        part = self._part(sha256)
        with part.open("ab") as stream:
            stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        have += len(piece)
        if have >= total:
            with part.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != sha256:
                part.unlink()
                raise InvalidInput(N_("The image arrived damaged and is sent again."), field="sha256")
            self._finish(part, sha256)
        return have

    def _part(self, sha256: str) -> Path:
        folder = self._folder / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        self.path(sha256)  # refuses what is no sum
        return folder / sha256

    def _finish(self, part: Path, sha256: str) -> None:
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
