"""``vendctl journal``: the records, and that nobody changed them."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer

from controller.cli import screen
from controller.cli.amounts import plain
from controller.cli.client import Client
from controller.cli.errors import CliError, Exit
from controller.cli.files import private
from controller.cli.place import AsJson, act, place
from controller.cli.source import FromFolder, Source, source

_PAGE: Final = 200  # the most that vendd gives at once
_GENESIS: Final = "0" * 64  # the hash before the first record


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="The journal's records. Without a running vendd its file is read.",
        no_args_is_help=True,
    )
    group.command("tail")(tail)
    group.command("show")(show)
    group.command("verify")(verify)
    group.command("export")(export)
    group.command("begin")(begin)
    app.add_typer(group, name="journal")


def tail(
    context: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And those to come.")] = False,
    folder: FromFolder = None,
    json: AsJson = False,
) -> None:
    """Show the last records, a line each."""
    with source(context, folder) as journal:
        page = journal.records(0, 1)
        currency, last = page["currency"], page["journal"]["last"]
        for record in _range(journal, max(last - lines, 0) + 1, last):
            last = record["seq"]
            _line(record, currency, json)
    if follow:
        with Client(place(context).socket) as client:
            for event in client.events():
                if event.get("kind") == "record" and event["record"]["seq"] > last:
                    _line(event["record"], currency, json)


def _line(record: dict[str, Any], currency: str, json: bool) -> None:
    if json:
        screen.as_json_line(record)
    else:
        screen.record_line(record, currency)


def _range(journal: Source, first: int, last: int, *, exact: bool = False) -> Iterator[Any]:
    """Yield records ``first`` to ``last``."""
    after = first - 1
    while after < last:
        records = journal.records(after, min(_PAGE, last - after), exact=exact)["records"]
        if not records:
            return
        for record in records:
            if record["seq"] > last:
                return
            yield record
        after = records[-1]["seq"]


def show(
    context: typer.Context,
    first: Annotated[int, typer.Argument(min=1, help="A record's number.")],
    last: Annotated[int, typer.Argument(min=0, help="To this one.", show_default=False)] = 0,
    folder: FromFolder = None,
    json: AsJson = False,
) -> None:
    """Show records with everything in them."""
    _in_order(first, last or first)
    with source(context, folder) as journal:
        page = journal.records(first - 1, 1)
        records = list(_range(journal, first, last or first))
    if not records:
        raise _no_record(first, page["journal"])
    if json:
        screen.as_json(records)
        return
    for number, record in enumerate(records):
        if number:
            print()
        _full(record, page["currency"])


def _in_order(first: int, last: int) -> None:
    if last < first:
        raise CliError(
            f"from {first} to {last} there is nothing: the first is told first", Exit.USAGE
        )


def _no_record(seq: int, there: dict[str, Any]) -> CliError:
    text = f"no record {seq}: the journal has {there['first']} to {there['last']}"
    return CliError(text, Exit.NOT_FOUND)


def _full(record: dict[str, Any], currency: str) -> None:
    time = f"{record['at']}{'' if record['confirmed'] else ' (not confirmed)'}"
    rows: list[tuple[str, screen.Cell]] = [
        ("Record", f"{record['seq']}, start {record['boot']}"),
        ("Type", (f"{record['type']}, version {record['version']}", screen.BOLD)),
        ("Time", f"{time}, {record['mono_ms'] / 1000:.3f} s after the start of the clock"),
    ]
    if record["vend"] is not None:
        rows.append(("Vend", str(record["vend"])))
    rows += [
        (f"  {name}", value if isinstance(value, str) else json_.dumps(value, ensure_ascii=False))
        for name, value in record["data"].items()
    ]
    rows += [
        ("Posting", f"{plain(amount, currency):>12}  {account}")
        for account, amount in record["postings"]
    ]
    rows.append(("Hash", record["hash"]))
    screen.fields(rows)


RootKey = Annotated[
    str,
    typer.Option(
        "--root-key",
        metavar="HEX",
        help="The fleet's root key, where neither vendd nor --config can tell it.",
        show_default=False,
    ),
]


def verify(
    context: typer.Context, folder: FromFolder = None, root_key: RootKey = "", json: AsJson = False
) -> None:
    """Check the machine's whole life, every byte. Exit code 1 if one is wrong.

    Chain, base, snapshots, signed checkpoints and the fleet's word for them; and the journals
    before this one, where their files are still there.
    """
    try:
        root = bytes.fromhex(root_key) or None
    except ValueError as error:
        raise CliError(f"{root_key!r} is no key: hex digits", Exit.USAGE) from error
    with source(context, folder, root) as journal:
        report = journal.verify()
    if json:
        screen.as_json(report)
    elif report["ok"]:
        _verified(report)
    else:
        screen.line(("NOT VERIFIED:", screen.BAD), report["problem"])
        screen.line(f"everything to record {report['last_good']} is right")
    if not report["ok"]:
        raise typer.Exit(Exit.NO)


def _verified(report: dict[str, Any]) -> None:
    pruned = f", records to {report['base']} pruned" if report["base"] else ""
    screen.line(
        ("verified:", screen.GOOD),
        f"{report['records']} records, the last is {report['last_good']}{pruned}; "
        f"{report['snapshots']} snapshots equal the fold",
    )
    # A vendd that was not started again since its update says less.
    if report.get("checkpoints"):
        words = f"{report['checkpoints']} signed checkpoints agree"
        if report["proved"]:
            words += f"; the fleet vouches for everything to record {report['proved']}"
        screen.line(words)
    proved = report.get("proved", 0)
    if proved and not report["rooted"]:
        screen.line(("the fleet's word was not checked to its root key: --root-key", screen.WARN))
    if report["base"] and "proved" in report and not proved:
        screen.line(("for the pruned records this machine's key alone vouches", screen.WARN))
    for old in report.get("journals", ())[1:]:
        ends = f", then damaged ({old['problem']})" if old["problem"] else ""
        screen.line(f"before it, journal {old['journal'][:8]}: {old['records']} records{ends}")
    if report["unknown"]:
        words = f"{report['unknown']} records are of a newer software"
        screen.line((words, screen.WARN))


def export(
    context: typer.Context,
    first: Annotated[int, typer.Option("--from", min=1, help="The first record.")] = 1,
    last: Annotated[
        int | None, typer.Option("--to", min=1, help="The last record.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file.", show_default=False)
    ] = None,
    folder: FromFolder = None,
    json: AsJson = False,
) -> None:
    """Write records as lines of JSON, from which anybody can compute the chain again.

    The first line names the journal and the hash before the first record; each further line has
    one record's exact text (body), start (boot) and hash.
    """
    del json  # lines of JSON are what it writes anyway
    _in_order(first, first if last is None else last)
    with source(context, folder) as journal, ExitStack() as closing:
        there = journal.records(0, 1)["journal"]
        if first > 1 and first > there["last"]:
            raise _no_record(first, there)
        file = closing.enter_context(_writing(output))
        start = max(first, there["first"])
        before = journal.records(start - 2, 1)["records"] if start > there["first"] else []
        digest = _GENESIS if start == 1 else before[0]["hash"] if before else ""
        _write(file, {"journal": there["id"], "after": start - 1, "hash": digest})
        end = there["last"] if last is None else min(last, there["last"])
        written = 0
        for record in _range(journal, start, end, exact=True):
            _write(file, {name: record[name] for name in ("seq", "boot", "hash", "body")})
            written += 1
    if output is not None:
        screen.note(f"{written} records written to {output}")


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        with open(output, "x", encoding="utf-8", opener=private) as file:
            yield file
    except FileExistsError as error:
        raise CliError(f"{output} is there already", Exit.USAGE) from error
    except OSError as error:
        raise CliError(f"{output}: {error.strerror}", Exit.FAILED) from error


def _write(file: TextIO, fields: dict[str, Any]) -> None:
    file.write(json_.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")


def begin(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="What happened to the old one.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: AsJson = False,
) -> None:
    """Begin a new journal after the old one was lost or damaged; it names the old one."""
    if not (yes or json):
        typer.confirm(
            "The old journal is kept, but no longer continued. Begin a new one", abort=True
        )
    answer = act(context, "journal.begin", reason=reason)
    if json:
        screen.as_json(answer)
    elif known := answer["known"]:
        screen.line(f"a new journal was begun: it knows what the old one did at record {known:,}")
    else:
        screen.line(
            "a new journal was begun, with empty books: nothing of an old one could be read. "
            "Credit, open claims and stock are not known to it"
        )
