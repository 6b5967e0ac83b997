"""SFLOAT (16 bits) and FLOAT (32 bits) of IEEE 11073-20601, as Bluetooth health devices send numbers. No I/O.

Both are decimal: a signed mantissa times ten to a signed exponent, least significant byte first. Five mantissas are
no numbers; they come out as `Special`, never as a number that only looks like one. The result keeps the number of
decimals that the device gave: 36.40 stays 36.40.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum


class Special(Enum):
    """What a device sends where it has no number."""

    NAN = "NaN"
    """Not a number: the measurement failed or is missing."""
    NRES = "NRes"
    """Not at this resolution: the value cannot be written with this exponent."""
    POSITIVE_INFINITY = "+INFINITY"
    """Above what the device can measure."""
    NEGATIVE_INFINITY = "-INFINITY"
    """Below what the device can measure."""
    RESERVED = "reserved"
    """Reserved by the standard: means nothing today."""


Number = Decimal | Special

_ORDER = (Special.POSITIVE_INFINITY, Special.NAN, Special.NRES, Special.RESERVED, Special.NEGATIVE_INFINITY)
"""The five mantissas around the largest positive one, in the order of their bit patterns."""


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _decode(raw: int, mantissa_bits: int, exponent_bits: int) -> Number:
    mantissa = raw & ((1 << mantissa_bits) - 1)
    exponent = _signed(raw >> mantissa_bits, exponent_bits)
    special = mantissa - ((1 << (mantissa_bits - 1)) - 2)
    # The standard writes the special values with exponent 0. Devices have been seen to keep their usual exponent,
    # and no device measures with these mantissas, so the mantissa alone decides: a failed measurement never counts.
    if 0 <= special < len(_ORDER):
        return _ORDER[special]
    return Decimal(_signed(mantissa, mantissa_bits)).scaleb(exponent)


def decode_sfloat(data: bytes) -> Number:
    """The number in two bytes: mantissa of 12 bits, exponent of 4. Raises ValueError for another length."""
    if len(data) != 2:
        raise ValueError(f"an SFLOAT has 2 bytes, not {len(data)}")
    return _decode(int.from_bytes(data, "little"), 12, 4)


def decode_float(data: bytes) -> Number:
    """The number in four bytes: mantissa of 24 bits, exponent of 8. Raises ValueError for another length."""
    if len(data) != 4:
        raise ValueError(f"a FLOAT has 4 bytes, not {len(data)}")
    return _decode(int.from_bytes(data, "little"), 24, 8)


def _encode(value: Number, mantissa_bits: int, exponent_bits: int) -> int:
    if isinstance(value, Special):
        return (1 << (mantissa_bits - 1)) - 2 + _ORDER.index(value)
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no finite number")
    mantissa = int("".join(map(str, digits)))
    largest = (1 << (mantissa_bits - 1)) - 3
    top = (1 << (exponent_bits - 1)) - 1
    while exponent > top:
        mantissa, exponent = mantissa * 10, exponent - 1
    if mantissa > largest or exponent < -top - 1:
        raise ValueError(f"{value} does not fit")
    signed = -mantissa if sign else mantissa
    return (exponent & ((1 << exponent_bits) - 1)) << mantissa_bits | signed & ((1 << mantissa_bits) - 1)


def encode_sfloat(value: Number) -> bytes:
    """The two bytes of a number, with its own exponent. Raises ValueError if it does not fit."""
    return _encode(value, 12, 4).to_bytes(2, "little")


def encode_float(value: Number) -> bytes:
    """The four bytes of a number, with its own exponent. Raises ValueError if it does not fit."""
    return _encode(value, 24, 8).to_bytes(4, "little")
