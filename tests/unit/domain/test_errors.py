"""Sentences that travel between nodes keep what fills their places."""

from __future__ import annotations

import pytest

from teleconsult.domain.errors import Conflict, TeleconsultError, unpack


@pytest.mark.parametrize(
    ("error", "message", "params"),
    [
        (Conflict("This step came too late."), "This step came too late.", {}),
        (Conflict("%(name)s was first.", name='周"敏'), "%(name)s was first.", {"name": '周"敏'}),
        (TeleconsultError("At most %(most)s.", most=3), "At most %(most)s.", {"most": "3"}),
    ],
)
def test_a_carried_sentence_is_unpacked_as_it_was(
    error: TeleconsultError, message: str, params: dict[str, str]
) -> None:
    assert unpack(error.carry()) == (message, params)


def test_the_sentence_of_an_older_hub_is_taken_as_it_is() -> None:
    assert unpack("[sic] Dr Zhou has already accepted.") == ("[sic] Dr Zhou has already accepted.", {})
