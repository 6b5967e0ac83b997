"""SFLOAT and FLOAT against the standard's examples and against everything hypothesis thinks of."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from teleconsult_vitals_bluetooth.ieee11073 import (
    Special,
    decode_float,
    decode_sfloat,
    encode_float,
    encode_sfloat,
)

SPECIAL = {
    Special.NAN: ("ff07", "ffff7f00"),
    Special.NRES: ("0008", "00008000"),
    Special.POSITIVE_INFINITY: ("fe07", "feff7f00"),
    Special.NEGATIVE_INFINITY: ("0208", "02008000"),
    Special.RESERVED: ("0108", "01008000"),
}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("7200", "114"),  # the transcoding white paper's examples
        ("6cf1", "36.4"),
        ("7800", "120"),
        ("a0f0", "16.0"),
        ("01b0", "0.00001"),
        ("ff0f", "-1"),
        ("0278", "-20460000000"),
        ("fd87", "0.00002045"),
    ],
)
def test_sfloat_examples(data, value):
    if data == "0278":
        assert decode_sfloat(bytes.fromhex(data)) is Special.NEGATIVE_INFINITY
    else:
        assert decode_sfloat(bytes.fromhex(data)) == Decimal(value)


@pytest.mark.parametrize(
    ("data", "value"),
    [("6c0100ff", "36.4"), ("3d0e00fe", "36.45"), ("dd0300ff", "98.9"), ("ffffffff", "-0.1"), ("010000 80", "1E-128")],
)
def test_float_examples(data, value):
    assert decode_float(bytes.fromhex(data)) == Decimal(value)


def test_decimals_are_kept():
    assert str(decode_sfloat(bytes.fromhex("a0f0"))) == "16.0"


@pytest.mark.parametrize(("special", "codes"), SPECIAL.items(), ids=lambda x: getattr(x, "name", ""))
def test_special_values_are_told_apart(special, codes):
    short, long = (bytes.fromhex(code) for code in codes)
    assert decode_sfloat(short) is special
    assert decode_float(long) is special
    assert (encode_sfloat(special), encode_float(special)) == (short, long)


@given(st.integers(0, 15), st.sampled_from(sorted(SPECIAL, key=str)))
def test_no_exponent_makes_a_number_of_a_special_value(exponent, special):
    raw = int.from_bytes(encode_sfloat(special), "little") | exponent << 12
    assert decode_sfloat(raw.to_bytes(2, "little")) is special


@given(st.integers(0, 0xFFFF))
def test_every_sfloat_is_a_special_value_or_mantissa_times_ten_to_the_exponent(raw):
    value = decode_sfloat(raw.to_bytes(2, "little"))
    mantissa = (raw & 0xFFF) - (0x1000 if raw & 0x800 else 0)
    exponent = (raw >> 12) - (16 if raw & 0x8000 else 0)
    if isinstance(value, Special):
        assert abs(mantissa) >= 2046
    else:
        assert value == mantissa * Decimal(10) ** exponent
        assert abs(mantissa) <= 2045


@given(st.integers(-2045, 2045), st.integers(-8, 7))
def test_sfloat_there_and_back(mantissa, exponent):
    value = Decimal(mantissa).scaleb(exponent)
    assert decode_sfloat(encode_sfloat(value)) == value


@given(st.integers(-8388605, 8388605), st.integers(-128, 127))
def test_float_there_and_back(mantissa, exponent):
    value = Decimal(mantissa).scaleb(exponent)
    assert decode_float(encode_float(value)) == value


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_what_does_not_fit_is_refused_and_never_rounded(value):
    try:
        data = encode_sfloat(value)
    except ValueError:
        return
    assume(value.is_finite())
    assert decode_sfloat(data) == value


@pytest.mark.parametrize("size", [0, 1, 3, 5])
def test_other_lengths_are_refused(size):
    with pytest.raises(ValueError, match="bytes"):
        decode_sfloat(bytes(size))
    with pytest.raises(ValueError, match="bytes"):
        decode_float(bytes(size))
