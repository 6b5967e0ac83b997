"""Datagrams that a media port may get from anybody: random, cut, changed, replayed, reordered and forged. Seeded."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Final

COOKIE: Final = 0x2112A442
SIZES: Final = (0, 1, 2, 3, 7, 8, 11, 12, 13, 19, 20, 60, 400, 1200, 1472, 2047, 2048, 2049, 9000)


class Hostile:
    """Makes datagrams. `samples` are real ones of a call, `ufrag` is that call's, its password is not known."""

    def __init__(self, seed: int, samples: Sequence[bytes], ufrag: str) -> None:
        self.rng = random.Random(seed)
        self.numbers = itertools.count()
        """For packets that have to be in order: SRTP protects no old ones."""
        self._samples = list(samples)
        self._ufrag = ufrag
        self._kinds = (
            self.noise,
            self.replayed,
            self.cut,
            self.changed,
            self.grown,
            self.media,
            self.reports,
            self.stun,
            self.stun_with_name,
            self.dtls,
        )

    def datagram(self) -> bytes:
        """The next one, of any kind."""
        return self.rng.choice(self._kinds)()

    def _body(self) -> bytes:
        return self.rng.randbytes(self.rng.choice(SIZES))

    def noise(self) -> bytes:
        return self._body()

    def replayed(self) -> bytes:
        """What was sent once, in any order."""
        return self.rng.choice(self._samples)

    def cut(self) -> bytes:
        sample = self.replayed()
        return sample[: self.rng.randrange(len(sample) + 1)]

    def changed(self) -> bytes:
        data = bytearray(self.replayed())
        for _ in range(self.rng.randrange(1, 8)):
            if data:
                data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        return bytes(data)

    def grown(self) -> bytes:
        return self.replayed() + self._body()[:1200]

    def media(self) -> bytes:
        """RTP with wild counts of sources, extensions and padding."""
        first = 0x80 | self.rng.randrange(64)
        ssrc = (
            self.rng.choice(self._samples)[8:12].ljust(4, b"\0") if self.rng.random() < 0.5 else self.rng.randbytes(4)
        )
        return bytes((first, self.rng.choice((96, 97, 98, 111, 239)))) + self.rng.randbytes(6) + ssrc + self._body()

    def reports(self) -> bytes:
        """RTCP with wild counts and lengths."""
        length = self.rng.choice((0, 1, 2, 6, 0xFFFF, self.rng.randrange(0x10000)))
        return struct.pack("!BBH", 0x80 | self.rng.randrange(64), self.rng.randrange(192, 224), length) + self._body()

    def stun(self) -> bytes:
        """A STUN message of any class and method, its attributes noise."""
        body = self._body()
        kind = self.rng.choice((0x0001, 0x0101, 0x0111, 0x0011, 0x0003, self.rng.randrange(0x4000)))
        length = self.rng.choice((len(body), len(body) & 0xFFFC, 0, 0xFFFF))
        return struct.pack("!HHI", kind, length, COOKIE) + self.rng.randbytes(12) + body

    def stun_with_name(self) -> bytes:
        """A well-made binding request or answer for this very call, signed with a wrong password."""
        name = f"{self._ufrag}:{self.rng.randrange(10_000)}".encode()
        attributes = _attribute(0x0006, name) + _attribute(0x0024, self.rng.randbytes(4))
        attributes += _attribute(self.rng.choice((0x8029, 0x802A)), self.rng.randbytes(8))
        if self.rng.random() < 0.5:
            attributes += _attribute(0x0025, b"")
        head = struct.pack("!HHI", self.rng.choice((1, 0x0101)), len(attributes) + 24, COOKIE) + self.rng.randbytes(12)
        signed = head + attributes
        signed += _attribute(0x0008, hmac.new(self.rng.randbytes(16), signed, hashlib.sha1).digest())
        whole = struct.pack("!HH", *struct.unpack("!HH", signed[:2] + struct.pack("!H", len(signed) - 12))) + signed[4:]
        return whole + _attribute(0x8028, struct.pack("!I", zlib.crc32(whole) ^ 0x5354554E))

    def dtls(self) -> bytes:
        """A DTLS record: an alert that claims to end the call, a handshake, ciphertext."""
        kind = self.rng.choice((20, 21, 22, 23, 25, 63))
        body = bytes((self.rng.choice((1, 2)), self.rng.choice((0, 10, 40)))) if kind == 21 else self._body()
        epoch, sequence = self.rng.choice((0, 1, 2, 0xFFFF)), self.rng.randbytes(6)
        version = self.rng.choice((b"\xfe\xfd", b"\xfe\xff", self.rng.randbytes(2)))
        length = self.rng.choice((len(body) & 0xFFFF, 0, 0xFFFF))
        return bytes((kind,)) + version + struct.pack("!H", epoch) + sequence + struct.pack("!H", length) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
