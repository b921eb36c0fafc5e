"""A machine's whole life, proved from its own disk; and each way to change it, found."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.contract.journal import attested, link
from cloud.contract.journal import records as rec
from cloud.contract.messages import Countersigned
from cloud.contract.signing import public_of, signer_of
from controller.clock import SystemClock
from controller.domain import commands as cmd
from controller.journal import pruning
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.life import LifeReport, verify_life
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.journal.verify import verify_storage
from controller.machine.checkpoints import sealing
from controller.state.fold import StateFold
from controller.state.state import State
from tests.fleet.books import open_books, sell_many
from tests.fleet.machines import START
from tests.fleet.signing import ROOT, fleet_signer
from tests.journal_kit import BUILT

NOW = START + 1_000_000


async def state_books(books: Journal[State]) -> cmd.KeepCountersignature:
    """Write a checkpoint and return the fleet's word for it."""
    books.label.confirm(NOW, int(SystemClock().monotonic_s() * 1000))
    seq = books.next_seq - 1
    digest = books.head.hex()
    body, _, signature = sealing(books, SystemClock())(seq, 0).partition("\n")
    books.stage(rec.CheckpointSigned(body=body, signature=signature, reason="hourly"))
    await books.commit()
    word = Countersigned(
        tenant="acme",
        machine="lobby-1",
        journal=books.journal_id.hex(),
        seq=seq,
        hash=digest,
        checkpoint=attested.digest(body),
        at=START,
    )
    signed = fleet_signer().countersign(word)
    assert signed.key is not None
    return cmd.KeepCountersignature(
        seq, signed.body.decode(), signed.kid, signed.sig.hex(), signed.key.body.decode(),
        signed.key.sig.hex(),
    )  # fmt: skip


async def keep(books: Journal[State], word: cmd.KeepCountersignature, **changes: Any) -> None:
    fields = {name: getattr(word, name) for name in word.__slots__} | changes
    books.stage(rec.CheckpointCountersigned.model_validate(fields))
    await books.commit()


async def lived(folder: Path) -> None:
    """Leave a journal behind: sales, a checkpoint, the fleet's word, and sales after it."""
    books = await open_books(folder)
    await sell_many(books, 3)
    await keep(books, await state_books(books))
    await sell_many(books, 2)
    await books.close()


async def verified(folder: Path, root: bytes | None = public_of(ROOT)) -> LifeReport:
    storage, fold = DirectoryStorage(folder), StateFold()
    report = await verify_storage(storage, fold, rec.REGISTRY, root=root)
    return await verify_life(storage, report, None, fold, rec.REGISTRY, root)


def changed(folder: Path, statements: Callable[[sqlite3.Connection], object]) -> None:
    (path,) = folder.glob("journal-*.db")
    with closing(sqlite3.connect(path)) as database, database:
        statements(database)


def _flip(database: sqlite3.Connection, seq: int) -> None:
    (body,) = database.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
    raw = bytearray(body)
    raw[len(raw) // 2] ^= 1
    database.execute("UPDATE record SET body = ? WHERE seq = ?", (bytes(raw), seq))


def _swap(database: sqlite3.Connection) -> None:
    for old, new in ((12, 1_000_000), (13, 12), (1_000_000, 13)):
        database.execute("UPDATE record SET seq = ? WHERE seq = ?", (new, old))


def rewritten(
    folder: Path, change: Callable[[bytes], bytes], first: int, *, key: bool = False
) -> None:
    """Change bodies from ``first`` on and make every hash right; with the key, checkpoints too."""
    seed = bytes.fromhex((folder / "machine.key").read_text())

    def work(database: sqlite3.Connection) -> None:
        (journal,) = database.execute("SELECT id FROM journal").fetchone()
        rows = database.execute("SELECT seq, boot, body, hash FROM record ORDER BY seq").fetchall()
        digest, money = rows[first - 2][3], 0
        for seq, boot, body, _ in rows[first - 1 :]:
            new = change(body)
            if key and b'"checkpoint.signed"' in new:
                new = _signed_anew(new, seq, digest, seed)
            digest = link(digest, journal, seq, boot, new)
            money += new != body
            database.execute(
                "UPDATE record SET body = ?, hash = ? WHERE seq = ?", (new, digest, seq)
            )
        assert money, "something was changed"
        database.execute("DELETE FROM snapshot")

    changed(folder, work)


def _signed_anew(body: bytes, seq: int, digest: bytes, seed: bytes) -> bytes:
    import json

    fields = json.loads(body)
    told = attested.read(fields["data"]["body"])
    balances = {account: amount // 150 * 140 for account, amount in told.balances.items()}
    text = attested.write(
        attested.Statement(
            told.journal, seq - 1, digest.hex(), balances, told.at_ms, told.confirmed
        )
    )
    fields["data"]["body"] = text
    fields["data"]["signature"] = signer_of(seed)(attested.STATED + text.encode()).hex()
    return json.dumps(fields, separators=(",", ":")).encode()


async def test_a_whole_life_is_proved(tmp_path: Path) -> None:
    await lived(tmp_path)

    life = await verified(tmp_path)

    assert (life.ok, life.problem) == (True, "")
    (report,) = life.journals
    assert (report.checkpoints, report.countersigned, report.rooted) == (1, 1, True)
    assert report.proved == 2 + 3 * 7
    assert not (await verified(tmp_path, None)).journals[0].rooted


async def test_pruned_records_are_vouched_for_by_the_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "MIN_STEP", 10)
    books = await open_books(tmp_path)
    books.label.confirm(NOW, int(SystemClock().monotonic_s() * 1000))
    await sell_many(books, 5)
    word = await state_books(books)
    await keep(books, word)
    await sell_many(books, 5)
    assert await books.acknowledge(books.durable_seq, books.head)

    assert await books.prune(timedelta(days=-1)) == word.seq, "what vouches for them stays"

    life = await books.verify_life(public_of(ROOT))
    assert life.ok, life.problem
    assert (life.journals[0].base_seq, life.journals[0].proved) == (word.seq, word.seq)
    await books.close()
    changed(
        tmp_path,
        lambda database: database.execute("DELETE FROM record WHERE seq = ?", (word.seq + 1,)),
    )
    assert (await verified(tmp_path)).wrong_seq == word.seq + 1


@pytest.mark.parametrize(
    ("change", "seq", "words"),
    [
        (lambda d: _flip(d, 7), 7, "fails its hash"),
        (lambda d: d.execute("DELETE FROM record WHERE seq = 8"), 8, "is missing"),
        (lambda d: d.execute("DELETE FROM record WHERE seq > 20"), 21, "ends"),
        (_swap, 12, "fails its hash"),
        (lambda d: _flip(d, 24), 24, "fails its hash"),
    ],
)
async def test_what_is_changed_is_found(
    tmp_path: Path, change: Callable[[sqlite3.Connection], object], seq: int, words: str
) -> None:
    await lived(tmp_path)
    changed(tmp_path, change)

    life = await verified(tmp_path)

    assert (life.ok, life.wrong_seq) == (False, seq)
    assert words in life.problem


async def test_a_checkpoints_balance_that_was_changed_is_named(tmp_path: Path) -> None:
    await lived(tmp_path)
    rewritten(
        tmp_path,
        lambda body: body.replace(b'\\"cash.cashbox\\":450', b'\\"cash.cashbox\\":440'),
        24,
    )

    life = await verified(tmp_path)

    assert life.wrong_seq == 24
    assert "the checkpoint says cash.cashbox 440, the records 450" in life.problem


async def test_a_checkpoint_that_somebody_else_signed_is_named(tmp_path: Path) -> None:
    await lived(tmp_path)
    (tmp_path / "machine.key").write_text("11" * 32)

    life = await verified(tmp_path)

    assert life.wrong_seq == 24
    assert "not signed by this machine's key" in life.problem


async def test_who_has_the_disk_and_its_key_can_not_make_the_fleets_word(tmp_path: Path) -> None:
    await lived(tmp_path)

    # Every sale was a little cheaper, and all of it is signed anew with the machine's own key.
    # (The fleet's own words are left as they are: their signatures' digits may read like a price.)
    def cheaper(body: bytes) -> bytes:
        return body if b'"key_signature"' in body else body.replace(b"150", b"140")

    rewritten(tmp_path, cheaper, 3, key=True)

    life = await verified(tmp_path)

    assert life.wrong_seq == 25
    assert "the fleet vouches for hash" in life.problem


@pytest.mark.parametrize("field", ["body", "signature", "key", "key_signature", "kid"])
async def test_a_word_of_the_fleet_that_was_changed_is_none(tmp_path: Path, field: str) -> None:
    books = await open_books(tmp_path)
    await sell_many(books, 1)
    word = await state_books(books)
    text: str = getattr(word, field)
    await keep(books, word, **{field: text.replace("a", "b", 1) if "a" in text else text + "0"})
    await books.close()

    life = await verified(tmp_path)

    assert (life.ok, life.wrong_seq) == (False, books.durable_seq)


async def broken_and_begun_anew(folder: Path) -> list[Path]:
    """Leave two journals behind: one broken in its last records, and the one after it."""
    await lived(folder)
    changed(folder, lambda d: _flip(d, 38))
    changed(folder, lambda d: d.execute("DELETE FROM snapshot"))
    await begin_new(
        DirectoryStorage(folder),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=SystemClock(),
        entropy=lambda size: bytes([5]) * size,
        boot=BootInfo("lobby-1", "EUR", "0.1.0", "", BUILT),
        reason="a test",
    )
    await lived(folder)
    new = folder / f"journal-{'05' * 16}.db"
    return [path for path in folder.glob("journal-*.db") if path != new] + [new]


async def test_a_life_of_two_journals_is_proved_over_the_place_where_one_broke(
    tmp_path: Path,
) -> None:
    await broken_and_begun_anew(tmp_path)

    life = await verified(tmp_path)

    assert (life.ok, life.problem) == (True, "")
    new, old = life.journals
    assert new.previous is not None
    assert new.previous[:2] == (old.journal, 37)
    assert "record 38" in old.problem
    assert old.proved == 23


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE record SET boot = 2 WHERE seq = 9", "record 9"),
        ("DELETE FROM record WHERE seq = 30", "record 30"),
    ],
)
async def test_an_old_journal_that_was_changed_before_it_broke_is_found(
    tmp_path: Path, statement: str, words: str
) -> None:
    old, _ = await broken_and_begun_anew(tmp_path)
    with closing(sqlite3.connect(old)) as database, database:
        database.execute(statement)

    life = await verified(tmp_path)

    assert not life.ok
    assert words in life.problem
    assert (life.journal, life.wrong_seq) == (old.stem[8:], int(words.split()[1]))


async def test_an_old_file_that_was_taken_away_is_the_fleets_to_prove(tmp_path: Path) -> None:
    old, _ = await broken_and_begun_anew(tmp_path)
    old.unlink()

    life = await verified(tmp_path)

    assert life.ok
    assert len(life.journals) == 1


def vendctl(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from controller.cli.app import run; run()", *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout


async def test_a_technician_sees_what_is_proved_and_by_whom(tmp_path: Path) -> None:
    await broken_and_begun_anew(tmp_path)
    words = ("journal", "verify", "--folder", str(tmp_path))

    code, out = await asyncio.to_thread(vendctl, *words, "--root-key", public_of(ROOT).hex())
    assert code == 0
    assert "1 signed checkpoints agree; the fleet vouches for everything to record" in out
    assert "before it, journal" in out
    assert "then damaged (record 38: fails its hash)" in out
    code, out = await asyncio.to_thread(vendctl, *words)
    assert (code, "was not checked to its root key" in out) == (0, True)
    code, out = await asyncio.to_thread(vendctl, *words, "--root-key", "11" * 32, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["wrong"]) == (1, False, told["last_good"] + 1)
    assert "is not signed by the root key" in told["problem"]
