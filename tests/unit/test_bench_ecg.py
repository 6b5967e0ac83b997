"""The ECG measurement fails if a sample is missing."""

import pytest

from tests.bench.ecg import SECONDS, missing

WHOLE = {"samples a second": 500.0, "samples heard": SECONDS * 500, "samples lost": 0.0}


def test_a_whole_minute_lacks_nothing() -> None:
    assert missing(WHOLE) == ""
    assert missing({**WHOLE, "samples heard": SECONDS * 500 - 250}) == "", "half a second may be on its way"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples lost": 3.0}, "3 samples were lost"),
        ({"samples heard": 20_000.0}, "20000 samples of 29500 were heard"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, float], says: str) -> None:
    assert missing({**WHOLE, **change}) == says
