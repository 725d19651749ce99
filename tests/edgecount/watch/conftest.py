"""Fixtures that tests of the service share."""

import time

import pytest


@pytest.fixture
def until():
    """Wait for a condition and return what it gives."""

    def wait(condition, deadline=60.0):
        end = time.monotonic() + deadline
        while not (found := condition()):
            assert time.monotonic() < end
            time.sleep(0.01)
        return found

    return wait
