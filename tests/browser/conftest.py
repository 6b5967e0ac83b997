"""A failed browser test leaves a picture of every page that was open, in tests/artifacts."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.browser import firefox, person


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take the pictures before the fixtures are taken down."""
    report = yield
    if call.excinfo is not None and call.when in ("setup", "call"):
        person.photograph(item.name)
        firefox.photograph(item.name)
    return report
