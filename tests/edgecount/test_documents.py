"""JSON and YAML that anybody may have written."""

from __future__ import annotations

import math

import pytest

from edgecount._documents import load_json, load_yaml, shown
from edgecount.errors import ConfigError, ModelError


def bomb(levels: int = 9) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_a_value_is_shown_in_few_words() -> None:
    value: object = "x"
    for _ in range(30):
        value = [value] * 10
    assert len(shown(value)) == 200
    assert len(shown("x" * 10**6)) < 200
    assert len(shown(10**400)) < 50
    assert shown(10**5000) == "a whole number of thousands of digits"
    assert shown("\ud800") == "'\\ud800'"
    assert shown(1.5) == "1.5"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nests deeper than 50 levels"),
        ("[" * 60 + "]" * 60, "nests deeper than 50 levels"),
        ("[" + "9" * 5000 + "]", "Exceeds the limit"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("[NaN]", "NaN is no JSON number"),
        ("[" + "1," * 100_000 + "1]", "more than 100000 values"),
    ],
)
def test_json_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(ModelError, match=f"^the text: .*{reason}") as caught:
        load_json(text, "the text", ModelError)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_json_is_read() -> None:
    assert load_json('{"a": [1, 2.5, null, "\u00e9"]}', "it", ModelError) == {
        "a": [1, 2.5, None, "\u00e9"]
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(), "more than 100000 values"),
        ("base: &b {k: 1}\nall: {<<: [" + ", ".join(["*b"] * 40_000) + "]}", "100000 values"),
        ("a: &a [*a]", "nests deeper than 50 levels"),
        ("[" * 5000, "nests deeper than 50 levels|expected"),
        ("a: 1\na: 2", "the key 'a' is given twice"),
        ('a: "\\uD800"', "half a character"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ("a: 2024-13-45", "month must be in"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: \x00", "special characters"),
    ],
)
def test_yaml_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^the text: .*({reason})") as caught:
        load_yaml(text, "the text", ConfigError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("-2E3", -2e3), ("1.e2", 1e2), ("+1.5e+2", 150.0), ("3e1", 30.0), ("7", 7)],
)
def test_numbers_of_yaml_need_no_point(text: str, value: float) -> None:
    found = load_yaml(text, "a.yaml", ConfigError)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("012", 12), ("08", 8), ("-007", -7), ("0o17", 15), ("0x1F", 31), ("1:30", "1:30"),
     ("1_000", "1_000"), ("0b11", "0b11"), ("10:20.5", "10:20.5"), (".5", 0.5),
     ("-.inf", -math.inf), ("!!int '7'", 7)],
)  # fmt: skip
def test_numbers_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = load_yaml(text, "a.yaml", ConfigError)
    assert found == value
    assert type(found) is type(value)


def test_a_tag_makes_no_number_of_a_text() -> None:
    with pytest.raises(ConfigError, match=r"^a\.yaml: .*'1:30'"):
        load_yaml("!!int 1:30", "a.yaml", ConfigError)
    with pytest.raises(ConfigError, match=r"^a\.yaml: expected a scalar node"):
        load_yaml("!!int [1, 2]", "a.yaml", ConfigError)


@pytest.mark.parametrize("text", ["'1e-4'", "1e", "e5", "1e-4x", "0x1e"])
def test_what_only_looks_like_a_number_is_none(text: str) -> None:
    assert not isinstance(load_yaml(text, "a.yaml", ConfigError), float)


def test_yaml_is_read_with_its_anchors() -> None:
    text = "a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\nc: [*a, 1.5]"
    assert load_yaml(text, "it", ConfigError) == {
        "a": {"k": 1, "l": 2},
        "b": {"k": 1, "l": 3},
        "c": [{"k": 1, "l": 2}, 1.5],
    }
    assert load_yaml("", "it", ConfigError) is None
