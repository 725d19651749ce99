import pytest

from edgecount._web.limits import RateLimit


def test_tries_come_back():
    now = [0.0]
    limit = RateLimit(2, 10.0, lambda: now[0])
    assert [limit.take("a"), limit.take("a")] == [0, 0]
    assert limit.take("a") == pytest.approx(5)
    assert limit.take("b") == 0
    now[0] = 5.0
    assert limit.take("a") == 0
