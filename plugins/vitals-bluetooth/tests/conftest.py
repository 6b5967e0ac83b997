"""A virtual radio for each test that asks for one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not do it

from peripherals import Radio


@pytest.fixture
def radio():
    made = Radio()
    yield made
    made.close()
