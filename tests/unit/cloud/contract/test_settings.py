"""Settings, with dots and without: the same tables, the same digest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.contract.settings import SettingsError, digest_of, nested


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({}, {}),
        ({"policy.max_credit": 1}, {"policy": {"max_credit": 1}}),
        ({"policy": {"max_credit": 1}}, {"policy": {"max_credit": 1}}),
        (
            {"policy": {"basket": True}, "policy.max_credit": 1, "mdb.bill.accept": [500]},
            {"policy": {"basket": True, "max_credit": 1}, "mdb": {"bill": {"accept": [500]}}},
        ),
        ({"mdb.changer": {"keep": {"10": 5}}}, {"mdb": {"changer": {"keep": {"10": 5}}}}),
        ({"offers": [{"a.b": 1}]}, {"offers": [{"a.b": 1}]}),
    ],
)
def test_dots_are_tables(written: dict[str, Any], meant: dict[str, Any]) -> None:
    assert nested(written) == meant
    assert nested(meant) == meant
    assert digest_of(nested(written)) == digest_of(meant)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"": 1}, "is no key"),
        ({"policy.": 1}, "is no key"),
        ({"policy": {"": 1}}, "is no key"),
        ({"policy": {"a": 1}, "policy.a": 2}, "is said twice"),
        ({"policy": 1, "policy.a": 2}, "is a value already"),
        ({"policy.a": 1, "policy": 2}, "is said twice"),
        ({"policy.a": 1, "policy": {"a": {"b": 2}}}, "both a value and a table"),
    ],
)
def test_what_is_said_twice_is_refused(written: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        nested(written)


KEYS = st.text("abc", min_size=1, max_size=2)
TABLES = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{above}{name}"
        found |= flat(value, f"{key}.") if isinstance(value, dict) else {key: value}
    return found


@given(st.dictionaries(KEYS, TABLES, max_size=3))
def test_however_it_is_written_it_is_the_same(settings: dict[str, Any]) -> None:
    assert nested(flat(settings)) == settings
    assert digest_of(dict(reversed(settings.items()))) == digest_of(settings)
