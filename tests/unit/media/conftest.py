"""aiortc as a media worker has it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import aiortc.rtcicetransport
import aiortc.rtcpeerconnection
import pytest
from aiortc.codecs import CODECS, HEADER_EXTENSIONS

from teleconsult.media import _aiortc


@pytest.fixture
def installed() -> Iterator[None]:
    """aiortc as a worker has it, and as it was afterwards."""
    tables: list[Any] = [*CODECS.values(), *HEADER_EXTENSIONS.values()]
    saved = copy.deepcopy(tables)
    names = [
        (aiortc.rtcpeerconnection, "RTCRtpSender"),
        (aiortc.rtcpeerconnection, "RTCRtpReceiver"),
        (aiortc.rtcicetransport, "Connection"),
    ]
    originals = [getattr(module, name) for module, name in names]
    _aiortc.install()
    yield
    for table, old in zip(tables, saved, strict=True):
        table[:] = old
    for (module, name), original in zip(names, originals, strict=True):
        setattr(module, name, original)
