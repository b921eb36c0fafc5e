"""The fleet's tables. Times are UTC in ms since 1970, amounts minor units, hashes and ids bytes.

``journal`` holds a row for each journal: the *cursor*. It is what makes ingest idempotent: whoever
applies a batch locks it first, so that ``record`` needs no unique index, which would not survive
partitions by time and tenant. Tables below ``projections`` can be deleted and made again from
``record`` at any time.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows up by itself only for a key of the type INTEGER.
_KEY: Final = BigInteger().with_variant(Integer(), "sqlite")

# Tenants by number: what stands in each record is as short as can be. Made when the first word of
# one of its machines comes.
tenant = Table(
    "tenant",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("name", String(48), nullable=False, unique=True),
)

machine = Table(
    "machine",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("tenant", String(48), nullable=False),
    Column("name", String(48), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("public_key", LargeBinary, nullable=True),  # its own, Ed25519: the one accepted last
    Column("currency", String(3), nullable=False, server_default=""),
    Column("software", String(64), nullable=False, server_default=""),
    Column("online", Boolean, nullable=False, server_default=false()),
    Column("seen_ms", BigInteger, nullable=False, server_default="0"),
    Column("polled_ms", BigInteger, nullable=True),  # seen at the HTTPS door, when there last
    Column("nonce", String(64), nullable=False, server_default=""),  # of its last greeting
    Column("every_s", Integer, nullable=False, server_default="900"),  # it speaks so often
    Column("state", Text, nullable=False, server_default=""),  # the last snapshot, JSON
    Column("active_journal", BigInteger, nullable=True),  # the one whose records are projected
    UniqueConstraint("tenant", "name"),
)

# A machine's own keys: pinned when it first speaks, a further one when an operator accepts it.
machine_key = Table(
    "machine_key",
    METADATA,
    Column("machine_id", ForeignKey("machine.id"), primary_key=True, autoincrement=False),
    Column("public_key", LargeBinary(32), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
    Column("accepted_ms", BigInteger, nullable=True),  # None: it signs nothing that counts
)

journal = Table(
    "journal",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("uid", LargeBinary(16), nullable=False, unique=True),
    Column("machine_id", ForeignKey("machine.id"), nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("last_hash", LargeBinary(32), nullable=False),
    Column("projected_seq", BigInteger, nullable=False, server_default="0"),
    Column("previous_uid", LargeBinary(16), nullable=True),
    Column("previous_seq", BigInteger, nullable=True),
    Column("adopted", Boolean, nullable=False),
    # Its machine is to begin a new journal behind its end, though another one has followed it.
    Column("taken_back", Boolean, nullable=False, server_default=false()),
    Column("quarantine", Text, nullable=False, server_default=""),  # why nothing more is taken
    Column("bad_batches", Integer, nullable=False, server_default="0"),  # in a row
    Column("folded", String(64), nullable=False, server_default=""),  # see ingest.folds
    # Whether waiting_batch may hold rows of this journal, and urgent_copy unconfirmed ones: most
    # batches need not look. Changed under the row's lock, as those are.
    Column("has_waiting", Boolean, nullable=False, server_default=false()),
    Column("has_copies", Boolean, nullable=False, server_default=true()),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_journal_machine_id", "machine_id"),
)

record = Table(
    "record",
    METADATA,
    Column("journal_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("vend", BigInteger, nullable=True),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # By these two it can be cut into partitions (docs/decisions/0017): the machine's own time may
    # be of any year. 0 in what no tenant's number was known of.
    Column("tenant_id", Integer, nullable=False, server_default="0"),
    Column("received_ms", BigInteger, nullable=False, server_default="0"),
    Index("ix_record_journal_id_seq", "journal_id", "seq"),
)

# What machines measure now and then: the last ones of each.
sample = Table(
    "sample",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("received_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),  # by the machine's own clock
    Column("samples", Text, nullable=False),  # JSON
)

waiting_batch = Table(
    "waiting_batch",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("message", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)

urgent_copy = Table(
    "urgent_copy",
    METADATA,
    Column("journal_uid", LargeBinary(16), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("machine_id", ForeignKey("machine.id"), nullable=False),
    Column("type", String(64), nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("confirmed", Boolean, nullable=False, server_default=false()),  # the chain has it too
)

dead_letter = Table(
    "dead_letter",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("machine_id", BigInteger, nullable=True),
    Column("journal_id", BigInteger, nullable=True),
    Column("seq", BigInteger, nullable=True),  # of a record that is stored and not understood
    Column("topic", String(160), nullable=False, server_default=""),
    Column("message", LargeBinary, nullable=True),  # what could not be read at all, bounded
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("replayed_ms", BigInteger, nullable=True),
    Column("discarded_ms", BigInteger, nullable=True),
)

alert = Table(
    "alert",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("machine_id", BigInteger, nullable=False),
    Column("cause", String(128), nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("raised_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger, nullable=True),
    # The record that it comes of, where it comes of one; its journal in hex.
    Column("journal", String(32), nullable=False, server_default=""),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    # One open row for a cause, and one at all for a record, on both databases.
    Index(
        "uq_alert_open",
        "machine_id",
        "cause",
        unique=True,
        sqlite_where=text("closed_ms IS NULL"),
        postgresql_where=text("closed_ms IS NULL"),
    ),
    Index(
        "uq_alert_record",
        "machine_id",
        "cause",
        "journal",
        "seq",
        unique=True,
        sqlite_where=text("seq > 0"),
        postgresql_where=text("seq > 0"),
    ),
)

# ------------------------------------------------------------------------------- projections

balance = Table(
    "balance",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(64), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

saga = Table(
    "saga",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("vend", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),  # or credit_return, late_approval, …
    Column("opened_ms", BigInteger, nullable=False),
    Column("uncertain", Boolean, nullable=False, server_default=false()),  # nobody confirmed that
    Column("closed_ms", BigInteger, nullable=True),
    Column("column", String(8), nullable=False, server_default=""),
    Column("product", String(64), nullable=False, server_default=""),
    Column("price", BigInteger, nullable=False, server_default="0"),
    Column("cash", BigInteger, nullable=False, server_default="0"),  # earned
    Column("card", BigInteger, nullable=False, server_default="0"),  # earned
    Column("app", BigInteger, nullable=False, server_default="0"),  # earned
    Column("by_right", String(16), nullable=False, server_default=""),  # app, token or free
    Column("paid_back", BigInteger, nullable=False, server_default="0"),  # in coins and bills
    Column("refunded", BigInteger, nullable=False, server_default="0"),  # on the card
    Column("claimed", BigInteger, nullable=False, server_default="0"),
    Column("result", String(16), nullable=False, server_default=""),  # "": open
    Column("flags", Text, nullable=False, server_default=""),
    Index("ix_saga_machine_id_opened_ms", "machine_id", "opened_ms"),
    Index(
        "ix_saga_open",
        "journal_id",
        sqlite_where=text("closed_ms IS NULL"),
        postgresql_where=text("closed_ms IS NULL"),
    ),
)

stock = Table(
    "stock",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("column", String(8), primary_key=True),
    Column("product", String(64), nullable=False, server_default=""),
    Column("price", BigInteger, nullable=False, server_default="0"),
    Column("count", BigInteger, nullable=False, server_default="0"),
    Column("disabled", String(128), nullable=False, server_default=""),
)

# What an operator says of a column; no projection.
stock_rule = Table(
    "stock_rule",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("column", String(8), primary_key=True),
    Column("capacity", BigInteger, nullable=False),
    Column("reorder_at", BigInteger, nullable=False),
)

claim = Table(
    "claim",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("vend", BigInteger, nullable=True),
    Column("amount", BigInteger, nullable=False),
    Column("tender", String(16), nullable=False),
    Column("code_end", String(4), nullable=False),  # the last digits: a whole code is money
    Column("reason", Text, nullable=False),
    Column("flagged", Boolean, nullable=False, server_default=false()),
    Column("opened_ms", BigInteger, nullable=False),
    Column("uncertain", Boolean, nullable=False, server_default=false()),  # nobody confirmed that
    Column("closed_ms", BigInteger, nullable=True),
    Column("how", String(128), nullable=False, server_default=""),
    Index("ix_claim_machine_id", "machine_id"),
    Index("ix_claim_code_end", "code_end"),
)

# A code that was keyed in at a machine that did not promise it; no projection: it is answered once.
claim_question = Table(
    "claim_question",
    METADATA,
    Column("journal_uid", LargeBinary(16), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the code
    Column("code_end", String(4), nullable=False),
    Column("days", BigInteger, nullable=False),  # for so long claims are honoured where it asks
    Column("until_ms", BigInteger, nullable=False),  # its customer waits until then
    Column("answer", String(16), nullable=False, server_default=""),  # "": not yet; late: none
    Column("args", Text, nullable=False, server_default=""),  # the answer's, JSON
    Column("sent", Boolean, nullable=False, server_default=false()),
    Index(
        "ix_claim_question_open",
        "until_ms",
        sqlite_where=text("sent IS FALSE"),
        postgresql_where=text("sent IS FALSE"),
    ),
)

# A claim that somebody wanted to have elsewhere; no projection. Once its machine has closed it as
# moved it is the fleet's to honour: by one grant at a time, or by an operator's hand.
claim_move = Table(
    "claim_move",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("close_id", String(64), nullable=False, server_default=""),  # the last claim.close
    Column("close_by_ms", BigInteger, nullable=False, server_default="0"),  # its end
    Column("grant_id", String(64), nullable=False, server_default=""),  # the grant under way
    Column("grant_machine_id", BigInteger, nullable=True),  # where
    Column("grant_journal_uid", LargeBinary(16), nullable=True),  # and for which question
    Column("grant_seq", BigInteger, nullable=True),
    Column("paid_ms", BigInteger, nullable=True),
    Column("how", String(128), nullable=False, server_default=""),
    Index("ix_claim_move_digest", "digest"),
    Index(
        "ix_claim_move_granting",
        "grant_id",
        sqlite_where=text("grant_id <> '' AND paid_ms IS NULL"),
        postgresql_where=text("grant_id <> '' AND paid_ms IS NULL"),
    ),
)

fault = Table(
    "fault",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("part", String(48), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("detail", Text, nullable=False, server_default=""),
    Column("raised_ms", BigInteger, nullable=False),
    Column(
        "journal", String(32), nullable=False, server_default=""
    ),  # of the record that raised it
    Column("seq", BigInteger, nullable=False, server_default="0"),
)

review = Table(
    "review",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("vend", BigInteger, nullable=True),
    Column("reason", Text, nullable=False),
    Column("amount", BigInteger, nullable=False, server_default="0"),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_review_machine_id", "machine_id"),
)

refund = Table(
    "refund",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("vend", BigInteger, nullable=True),
    Column("tender", String(16), nullable=False),
    Column("reference", String(128), nullable=False),  # of the payment, as who took it knows it
    Column("amount", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_ms", BigInteger, nullable=False),
    Column("uncertain", Boolean, nullable=False, server_default=false()),  # nobody confirmed that
    Index("ix_refund_machine_id_reference", "machine_id", "reference"),
)

# What an operator says of a refund; no projection.
refund_end = Table(
    "refund_end",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tender", String(16), primary_key=True),
    Column("reference", String(128), primary_key=True),
    Column("ended_ms", BigInteger, nullable=False),
    Column("how", String(128), nullable=False),
)

PROJECTIONS: Final = (balance, saga, stock, claim, fault, review, refund)

# ------------------------------------------------------------------- commands, desired, keys

command = Table(
    "command",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("machine_id", ForeignKey("machine.id"), nullable=False),
    Column("kind", String(48), nullable=False),
    Column("target", String(64), nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("args", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),  # as signed
    Column("issuer", String(96), nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False, server_default=""),  # "": open
    Column("detail", Text, nullable=False, server_default=""),
    Column("result", Text, nullable=False, server_default=""),  # JSON
    Column("ended_ms", BigInteger, nullable=True),
    Column("progress", Text, nullable=False, server_default=""),  # JSON, the last that was heard
    Column("progress_ms", BigInteger, nullable=True),
    Index("ix_command_machine_id", "machine_id"),
)

desired = Table(
    "desired",
    METADATA,
    Column("machine_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("settings", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("issuer", String(96), nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    # As the machine's records say: applied, confirmed, refused or rolled_back; "": not yet.
    Column("outcome", String(16), nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("ended_ms", BigInteger, nullable=True),
)

certificate = Table(
    "certificate",
    METADATA,
    Column("serial", String(48), primary_key=True),
    Column("machine_id", ForeignKey("machine.id"), nullable=False),
    Column("issued_ms", BigInteger, nullable=False, server_default="0"),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger, nullable=True),
    Column("key_hash", LargeBinary(32), nullable=True),  # SHA-256 of its public key
    Column("pem", Text, nullable=False, server_default=""),
    Index("ix_certificate_machine_id", "machine_id"),
)

checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),  # the machine's
    Column("countersignature", LargeBinary, nullable=False),  # the fleet's word; empty: not yet
    Column("at_ms", BigInteger, nullable=False),
)

duty = Table(
    "duty",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),  # a process
    Column("until_ms", BigInteger, nullable=False),
)
