"""Commands for what is kept over a machine: the fleet's configuration, climate and health."""

from typing import Any

from controller.domain import commands as cmd

CLIMATE: dict[str, Any] = {
    "thermometers": [
        {"name": "cabin", "celsius": 4.25, "problem": ""},
        {"name": "evaporator", "celsius": None, "problem": "its checksum is wrong"},
    ],
    "phase": "cooling",
    "phase_s": 130,
    "target_c": 3.0,
    "outputs": ["compressor", "light"],
    "health": [
        {"column": "A1", "limit_c": 5.0, "hot": False, "warm_s": 1_000, "allowed_s": 900.0,
         "exceeded": "too warm for too long"},
        {"column": "B1", "limit_c": 57.0, "hot": True, "warm_s": None, "allowed_s": 7_200.0,
         "exceeded": ""},
    ],
}  # fmt: skip


def test_the_fleets_configuration_and_what_differs_from_it(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    from controller.state.config import Held, Shelf

    assert ctl("config").lines == ["Holds  the machine's own file"]
    column = machine.planogram.columns["A1"]
    config = machine.state.config
    config.held = Held(
        revision=3,
        settings={"policy": {"basket": True}},
        wanted={"A1": Shelf(column.product, column.price + 10, column.capacity, 3)},
        touched={"A1": "tech"},
    )
    config.good = Held()
    config.seen, config.outcome, config.errors = 4, "refused", ["gpio: stays", "and so on"]
    machine.now = replace(machine.now, revision_waits=5)
    assert ctl("config").lines == [
        "Holds      revision 3, on trial",
        "Waits      revision 5, until nobody is served",
        "4 refused  gpio: stays",
        "           and so on",
        "",
        "Setting        Value",
        "policy.basket  True",
        "",
        "Changed here since; the fleet adopts it or overwrites it",
        "Setting                     Fleet  Here  By",
        f"planogram.columns.A1.price  {column.price + 10}    {column.price}   tech",
    ]


def test_the_climate_and_the_health_timer_are_tables(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(machine.now, climate=CLIMATE)
    assert ctl("climate").lines == [
        "Cooling  cooling for 2 min 10 s, to 3 °C",
        "On       compressor, light",
        "",
        "Thermometer  Celsius  Problem",
        "cabin        4.2",
        "evaporator   unknown  its checksum is wrong",
    ]
    assert ctl("health").lines == [
        "Column  Wrong        Allowed for  Wrong for    State",
        "A1      above 5 °C   15 min       16 min 40 s  not sold: too warm for too long",
        "B1      below 57 °C  2 h",
    ]


def test_a_machine_without_a_climate_says_so(ctl: Any) -> None:
    assert ctl("climate").lines == ["no climate is configured"]
    assert ctl("health").lines == ["no column is under the health timer"]


def test_a_technician_serves_what_the_health_timer_held_back(ctl: Any, machine: Any) -> None:
    assert ctl("health", "served", "A1").lines == ["sold again: A1"]
    assert ctl("health", "served").lines == ["nothing was held back"]
    assert [command for command, _ in machine.told] == [
        cmd.ServeHealth("A1"),
        cmd.ServeHealth(None),
    ]
