"""What the fold keeps of the fleet's commands has an end."""

from controller.journal.envelope import Record
from controller.journal.records import CommandStarted
from controller.state.remote import COUNTERS_MAX, Remote, counted


def test_counters_of_targets_that_come_once_are_forgotten_and_those_in_use_are_not() -> None:
    remote = Remote()

    def run(kind: str, target: str, counter: int) -> None:
        data = CommandStarted(
            id=f"{kind}{target}{counter}",
            kind=kind,
            target=target,
            counter=counter,
            issuer="",
            expires_ms=10**15,
            arguments={},
        )
        record = Record(
            seq=1,
            boot=1,
            at_ms=0,
            confirmed=False,
            mono_ms=0,
            type=data.type,
            version=1,
            vend=None,
            data=data,
            postings=(),
            body=b"",
            hash=b"",
        )
        remote.started(record, data)

    run("price.set", "A1", 1)
    for number in range(2 * COUNTERS_MAX):
        run("credit.grant", f"payment-{number}", 1)
        if number % 1_000 == 0:
            run("price.set", "A1", number + 2)

    assert len(remote.counters) == COUNTERS_MAX
    assert remote.counters[counted("price.set", "A1")] > 1
