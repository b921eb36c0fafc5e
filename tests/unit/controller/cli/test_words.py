"""Records in a few words, whoever wrote them."""

from typing import Any, get_args, get_origin

import pytest
from pydantic import TypeAdapter

from controller.cli.words import _WORDS, summary
from controller.journal import records as rec
from controller.journal.envelope import RecordData

SAMPLES: dict[type[RecordData], dict[str, Any]] = {
    rec.DeviceIdentified: {"info": {"identity": {"manufacturer": "NRI", "serial": "7"}}},
    rec.CoinsDeposited: {"coins": ((2, 50, "tube", 9), (3, 200, "cashbox", 0))},
    rec.CoinsReleased: {"coins": ((2, 50, 3, 6),)},
    rec.TubesCounted: {"tubes": ((2, 50, 3, 6), (1, 10, 4, 4))},
    rec.PayoutFinished: {"paid": ((2, 50, 3),), "ordered": 200, "certain": False},
}


def sample(model: type[RecordData]) -> dict[str, Any]:
    """Make the data of a record of this type, with its special fields if it has some."""
    made: dict[str, Any] = dict(SAMPLES.get(model, {}))
    for name, info in model.model_fields.items():
        if name in made or not info.is_required():
            continue
        kind = info.annotation
        if kind is int:
            made[name] = 100
        elif kind is bool:
            made[name] = True
        elif kind is str:
            made[name] = "word"
        elif get_origin(kind) is tuple:
            made[name] = ()
        elif get_origin(kind) is dict:
            made[name] = {}
        else:
            made[name] = get_args(kind)[0]  # a Literal's first word
    return TypeAdapter(model).validate_python(made).model_dump(mode="json")


@pytest.mark.parametrize("model", rec.ALL, ids=lambda model: model.type)
def test_every_record_of_ours_has_its_words(model: type[RecordData]) -> None:
    data = sample(model)
    if model.type in _WORDS:  # they fit the record: no way out to the bare fields
        assert isinstance(_WORDS[model.type](data, str), str)
    words = summary({"type": model.type, "data": data}, "EUR")
    assert "\n" not in words
    assert words or not any(data.values())


@pytest.mark.parametrize(
    "model", [m for m in rec.ALL if "by" in m.model_fields], ids=lambda model: model.type
)
def test_who_did_it_stands_in_the_words(model: type[RecordData]) -> None:
    data = sample(model) | {"by": "ada"}
    assert "ada" in summary({"type": model.type, "data": data}, "EUR")


def test_no_words_are_kept_for_records_that_do_not_exist() -> None:
    assert set(_WORDS) <= set(rec.REGISTRY)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            "coins.deposited",
            {"coins": [[3, 200, "cashbox", 0], [2, 50, "tube", 4]], "owner": "operator"},
            "2.00 EUR to the cashbox, 0.50 EUR to the tube (fill mode)",
        ),
        (
            "payout.finished",
            {"paid": [[2, 50, 3]], "ordered": 200, "certain": False},
            "paid 1.50 EUR of 2.00 EUR (3 × 0.50 EUR, not certain)",
        ),
        (
            "payout.finished",
            {"paid": [], "ordered": 200, "certain": True},
            "paid 0.00 EUR of 2.00 EUR (nothing)",
        ),
        (
            "tubes.counted",
            {"cause": "boot", "tubes": [[2, 50, 3, 6], [1, 10, 4, 4]]},
            "boot, 2 tubes, 1 differ",
        ),
        (
            "credit.authorised",
            {"coins": 20, "bills": 0, "lots": [], "product": 150},
            "1.70 EUR locked",
        ),
        ("vend.settled", {"cash": 20, "lots": [], "product": 150}, "1.70 EUR earned"),
        ("vend.settled", {"cash": 20, "lots": []}, "0.20 EUR earned"),
        ("price.set", {"price": 1}, "price=1"),
        ("of.tomorrow", {"a": 1, "b": "", "c": None, "d": "x"}, "a=1, d=x"),
    ],
)
def test_words_say_amounts_and_fall_back_to_the_fields(
    kind: str, data: dict[str, Any], words: str
) -> None:
    assert summary({"type": kind, "data": data}, "EUR") == words
