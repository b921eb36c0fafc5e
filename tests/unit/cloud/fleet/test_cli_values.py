"""What an operator writes as values: no message carries everything that JSON or TOML can say."""

from pathlib import Path

import pytest

from cloud.fleet.cli.desired import _file
from cloud.fleet.cli.place import CliError, Exit
from cloud.fleet.cli.tell import pairs_of


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
        ("[" * 300 + "]" * 300, "nested too deeply"),
        ("1e999", "not JSON compliant"),
        ("NaN", "not JSON compliant"),
    ],
)
def test_a_value_that_no_message_can_carry_is_refused(value: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(CliError, match=why) as refused:
        pairs_of([f"policy.max_credit={value}"])
    assert refused.value.code is Exit.USAGE
    path = tmp_path / "wanted.json"
    path.write_text(f'{{"policy":{{"max_credit":{value}}}}}', encoding="utf-8")
    with pytest.raises(CliError, match=why):
        _file(path)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("[" * 5_000, "nested too deeply"),
        ("[" * 300 + "]" * 300, "nested too deeply"),
        ("2026-11-22", "date is not JSON"),
        ("inf", "not JSON compliant"),
    ],
)
def test_a_toml_file_that_no_message_can_carry_is_refused(
    value: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "wanted.toml"
    path.write_text(f"[policy]\nmax_credit = {value}\n", encoding="utf-8")
    with pytest.raises(CliError, match=why):
        _file(path)


def test_what_a_message_can_carry_is_taken_as_it_is() -> None:
    assert pairs_of(["a=150", "b=one word", 'c={"d":[1,2.5,null,"é"]}', "e=[["]) == {
        "a": 150,
        "b": "one word",
        "c": {"d": [1, 2.5, None, "é"]},
        "e": "[[",
    }
