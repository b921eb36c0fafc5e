"""What a kill came to, as rows of a table."""

from benchmarks.kills import peers, rows


def test_a_kill_may_neither_lose_nor_double_a_record() -> None:
    found = {"kills": 3, "records": 9_000, "waiting": 40, "lost": 0, "doubled": 0}
    assert [row.holds for row in rows("broker killed", found)] == [True, True]
    assert [row.holds for row in rows("broker killed", {**found, "lost": 1})] == [False, True]
    assert [row.holds for row in rows("broker killed", {**found, "doubled": 1})] == [True, False]


def test_what_the_peer_loses_stands_beside_and_is_not_judged() -> None:
    one = {"acked": 100, "lost": 100, "doubled": 0, "kills": 2}
    made = peers(dict.fromkeys(("killed", "saving", "stopped", "online"), one))
    assert [(row.value, row.holds) for row in made] == [(100, None)] * 4
    assert "2 times" in made[-1].what
