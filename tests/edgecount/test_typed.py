"""Plain values from a config as typed arguments."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from edgecount._typed import Reader, build
from edgecount.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    number: int
    kind: Literal["a", "b"] = "a"
    rate: float = 1.0
    pair: tuple[int, float] = (1, 2.0)
    names: tuple[str, ...] = ()
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()


def test_values_get_the_types_of_their_annotations():
    built = build(
        Outer,
        {
            "number": 3,
            "kind": "b",
            "rate": 2,
            "pair": [4, 5],
            "names": ["x", "y"],
            "limit": 7,
            "inner": {"share": 1},
            "many": [{"share": 0.25}, {}],
        },
    )
    assert built == Outer(3, "b", 2.0, (4, 5.0), ("x", "y"), 7, Inner(1.0), (Inner(0.25), Inner()))
    assert isinstance(built.rate, float)
    assert isinstance(built.pair[1], float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "number is missing"),
        ({"number": 1.5}, "number: expected a whole number, got 1.5"),
        ({"number": True}, "number: expected a whole number, got True"),
        ({"number": 1, "knd": "a"}, "knd: unknown key; did you mean kind"),
        ({"number": 1, "kind": "c"}, "kind: expected a or b, got 'c'"),
        ({"number": 1, "rate": "fast"}, "rate: expected a number, got 'fast'"),
        ({"number": 1, "rate": "1e-4"}, "write a number without quotes: 0.0001"),
        ({"number": 1, "pair": [1]}, r"pair: expected a list of 2, got \[1\]"),
        ({"number": 1, "pair": [1, "x"]}, "pair: expected a number, got 'x'"),
        ({"number": 1, "rate": float("nan")}, "rate: expected a finite number, got nan"),
        ({"number": 1, "rate": 10**400}, "rate: expected a finite number, got 1"),
        ({"number": 1, "names": "x"}, "names: expected a list of texts, got 'x'"),
        ({"number": 1, "many": 3}, "many: expected a list, got 3"),
        ({"number": 1, "names": ["x", 2]}, r"names\[1\]: expected a text, got 2"),
        ({"number": 1, "limit": "x"}, "limit: expected a whole number or null, got 'x'"),
        ({"number": 1, "inner": 3}, "inner: expected keys and values, got 3"),
        ({"number": 1, "inner": {"shar": 1}}, r"inner\.shar: unknown key"),
        (None, "config: expected keys and values"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, values)


def test_positional_arguments_are_no_options():
    class Made:
        def __init__(self, given, *, size: int = 1):
            self.given, self.size = given, size

    made = build(Made, {"size": 4}, "made", "thing")
    assert (made.given, made.size) == ("thing", 4)
    with pytest.raises(ConfigError, match=r"made\.given: unknown key"):
        build(Made, {"given": 1}, "made", "thing")


def test_a_document_has_its_own_words_and_class_of_errors():
    reader = Reader(
        error=ModelError,
        document="the paper",
        label="entry ",
        optional=("kind",),
        unknown=", or it is from the future",
    )
    whole = {"share": 0.5}
    assert reader.build(Inner, whole) == Inner()
    for values, message in (
        (None, "^the paper: expected keys and values, got None$"),
        ({}, "^entry share is missing$"),
        (whole | {"of": 1}, "^entry of: unknown key; expected one of share, or it is from the fut"),
        (
            {"share": "1e-4"},
            "^entry share: expected a number, got '1e-4'; write a number without qu",
        ),
    ):
        with pytest.raises(ModelError, match=message):
            reader.build(Inner, values)
