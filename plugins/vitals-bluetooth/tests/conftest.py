"""A virtual radio for each test that asks for one."""

import pytest
from teleconsult_vitals_bluetooth.simulated.threaded import Radio


@pytest.fixture
def radio():
    made = Radio()
    yield made
    made.close()
