"""What in a life brings each failure of the table about: the one list that names them all.

A *mark* is a trouble by part and name ("column.jam"), the same with its value ("column.hang=2"),
an end ("end.power"), something that a customer does ("act.keys *"), or what was seen to be so
("seen.no coins"). A row of ``controller.saga.failures.TABLE`` that has no mark here counts as
missed: whoever adds a row adds its marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SILENT: Final = ("silent", "mute_s=3.0", "mute_s=8.0", "mute_s=40.0")
_CHANGER_AWAY: Final = tuple(f"changer.{name}" for name in _SILENT)
_BILL_AWAY: Final = tuple(f"bill.{name}" for name in _SILENT)
_READER_AWAY: Final = tuple(f"reader.{name}" for name in _SILENT)
_OWN_AWAY: Final = tuple(f"own.{name}" for name in _SILENT)
_OTHER_AWAY: Final = tuple(f"other.{name}" for name in _SILENT)
_WARM: Final = ("cabin.warm", "climate.compressor_dead", "climate.heater_dead")

CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    # the dispenser
    "motor jams": ("column.jam",),
    "motor does not start": ("column.no_start",),
    "motor is seized": ("column.seized",),
    "motor never comes home": ("column.no_home",),
    "home switch is stuck": ("column.home_stuck",),
    "product hangs": ("column.hang=2",),
    "product hangs once": ("column.hang=1",),
    "product falls late": ("column.late_drop",),
    "another column delivers": ("column.jam", "column.no_start", "column.seized", "column.hang=2"),
    "column is empty against the count": ("stock.gone", "column.hang=2"),
    "two products fall": ("column.double_drop",),
    "drop sensor is blind": ("sensor.blind",),
    "drop sensor goes blind": ("sensor.blind",),
    "something lies in the beam": ("sensor.blocked",),
    "something gets into the beam": ("sensor.blocked",),
    "drop latch is stuck": ("sensor.latch_stuck",),
    "door is opened": ("door.open",),
    # the reader
    "card is declined": ("reader.declines", "act.card declined", "act.card empty"),
    "reader falls silent when asked": ("reader.dies_at=request", *_READER_AWAY),
    "reader resets when asked": ("reader.resets_at=request", "reader.resets"),
    "reader never answers": ("reader.no_answers", "reader.extra_approve_s=80.0"),
    "reader answers late": ("reader.extra_approve_s",),
    "reader answers twice": ("reader.repeated_items", "reader.deaf_to_acks"),
    "reader says out of sequence": ("reader.out_of_sequence",),
    "customer cancels": ("act.keys *", "act.pull", "act.lever"),
    "customer ends the session": ("act.keys *", "act.lever", "act.pull"),
    "drop is not seen": ("column.unseen_drop",),
    "column says that it is empty": ("seen.empty",),
    "customer takes the card away": ("act.pull",),
    "reader falls silent when it has approved": ("reader.dies_at=approval", *_READER_AWAY),
    "reader resets when it has approved": ("reader.resets_at=approval", "reader.resets"),
    "reader dies when told of success": ("reader.dies_at=success", *_READER_AWAY),
    "reader resets when told of success": ("reader.resets_at=success", "reader.resets"),
    "reader can't refund": ("reader.refund=error", "seen.no refunds"),
    "reader never says whether it refunded": (
        "reader.refund=silent", "reader.refund=silent_paid",
    ),
    "reader falls silent when told of failure": ("reader.dies_at=failure", *_READER_AWAY),
    "reader resets when told of failure": ("reader.resets_at=failure", "reader.resets"),
    # two readers: a mark's part is the one that was asked ("own"), or the other one ("other")
    "the other reader falls silent": _OTHER_AWAY,
    "the other reader resets": ("other.resets",),
    "the other reader ends a session that it has not": ("other.unasked_ends",),
    "a card comes to the other reader": ("other.card",),
    "one of two readers falls silent when asked": ("own.dies_at=request", *_OWN_AWAY),
    "one of two readers falls silent when it has approved": ("own.dies_at=approval", *_OWN_AWAY),
    "one of two readers dies when told of success": ("own.dies_at=success", *_OWN_AWAY),
    "one of two readers falls silent when told of failure": ("own.dies_at=failure", *_OWN_AWAY),
    "one of two readers can't refund": ("own.refund=error",),
    # cash for a card
    "reader denies a revalue": ("reader.declines",),
    "reader does not hear of a revalue": ("reader.silent_commands",),
    "reader revalues late": ("reader.extra_approve_s",),
    "reader falls silent before it revalues": ("reader.dies_at=revalue", *_READER_AWAY),
    "reader falls silent when it has revalued": ("reader.dies_at=revalued", *_READER_AWAY),
    "reader resets before it revalues": ("reader.resets_at=revalue", "reader.resets"),
    "reader resets when it has revalued": ("reader.resets_at=revalued", "reader.resets"),
    # the changer
    "changer jams in payout": ("changer.jam_after",),
    "changer pays too little": ("changer.short_by",),
    "changer pays too little again and again": ("changer.short_by",),
    "changer pays too much": ("changer.extra_coins",),
    "changer resets in payout": ("changer.reset_after", "changer.resets"),
    "changer never ends its payout": ("changer.stall",),
    "changer tells a wrong tube count": ("changer.count_error",),
    "changer tells a wrong payout status": ("changer.status_error",),
    "changer is away for a moment": (
        "changer.mute_s=0.3", "changer.mute_s=1.0", "changer.mute_s=1.8", "changer.silent_commands",
    ),
    "changer dies in payout": _CHANGER_AWAY,
    "changer is gone": _CHANGER_AWAY,
    "coins run out": ("seen.no coins",),
    # the recycler
    "recycler jams in payout": ("bill.dispense_jam_after",),
    "recycler pays too little": ("bill.dispense_short",),
    "recycler resets in payout": ("bill.dispense_reset_after", "bill.resets"),
    "recycler stands still in payout": ("bill.dispense_stall",),
    "recycler is away for a moment": (
        "bill.mute_s=0.3", "bill.mute_s=1.0", "bill.mute_s=1.8", "bill.silent_commands",
    ),
    "recycler dies in payout": _BILL_AWAY,
    # cash devices on a ccTalk line
    "hopper jams in payout": ("hopper3.jam_after",),
    "hopper's coins bridge in payout": ("hopper3.bridged_after",),
    "hopper does not hear the order": ("hopper3.lost_dispenses=1", "hopper3.silent_commands"),
    "hopper hears no order at all": ("hopper3.lost_dispenses=1000",),
    "hopper resets in payout": ("hopper3.reset_after", "hopper3.resets"),
    "hopper loses its power in payout": ("hopper3.cut_after",),
    "hopper is away for a moment": tuple(f"hopper3.mute_s={s}" for s in (0.3, 1.0, 1.8, 3.0)),
    "hopper never ends its payout": ("hopper3.stall",),
    "hopper dies in payout": ("hopper3.silent",),
    "ccTalk line is cut in payout": ("cctalk.dead",),
    "acceptor resets": ("acceptor.resets",),
    "acceptor resets with a coin that nobody has read": ("seen.unread coin",),
    "acceptor tells more than its buffer holds": ("seen.unread coin",),
    "acceptor's counter begins again behind 255": ("seen.wrap",),
    "acceptor is gone": ("acceptor.silent", "acceptor.mute_s=8.0"),
    "ccTalk bill jams on its way": ("billcc.jam",),
    "ccTalk validator does not hear the route": ("billcc.lost_routes=5",),
    "ccTalk validator hears no route at all": ("billcc.lost_routes=1000",),
    "ccTalk validator resets before the stack": ("billcc.resets",),
    "ccTalk validator resets behind the stack": ("billcc.resets",),
    "ccTalk validator is away for a moment": tuple(
        f"billcc.mute_s={s}" for s in (0.3, 1.0, 1.8, 3.0)
    ),
    "ccTalk validator is gone": ("billcc.silent",),
    # the pulse acceptor
    "noise on the pulse line": ("pulse.spikes", "pulse.bounces"),
    "pulses are lost": ("pulse.lost_pulses",),
    "a pulse is too long": ("pulse.long_pulse",),
    "pulse line stays on": ("pulse.stuck_on",),
    "coin gives no pulse": ("pulse.swallowed",),
    "vendd is killed while a coin pulses": ("seen.cut pulses=kill",),
    "vendd starts while a coin pulses": ("seen.cut pulses=kill",),
    "power is lost while a coin pulses": ("seen.cut pulses=power",),
    # bills
    "bill is returned by force": ("bill.return_when_stacking",),
    "bill is not stacked": ("bill.return_when_stacking",),
    "bill is stuck in escrow": ("bill.jam_on_return", "bill.weak_stacker=held"),
    "bill jams on its way": ("bill.jam_on_stack",),
    "validator resets before the stack": ("bill.reset_in_stack=before", "bill.resets"),
    "validator resets in the stack": ("bill.reset_in_stack=after", "bill.resets"),
    "stacker reports late": ("bill.weak_stacker=late",),
    "stacker never reports": ("bill.weak_stacker=lost",),
    "stacker neither reports nor counts": ("bill.weak_stacker=uncounted",),
    "validator is gone": _BILL_AWAY,
    "bill is stacked after power-up": ("end.power",),
    # the climate
    "an offer's hours end": ("seen.hours ended",),
    "vendd is killed, and nobody knows the time behind it": ("seen.time unknown",),
    "health timer has run out": _WARM,
    "health timer runs out meanwhile": _WARM,
    "thermometer dies": ("climate.sensor",),
    # the disk, the clock, the configuration, keys, ends
    "disk is slow (0.5 s)": ("disk.latency_s=0.5",),
    "disk is slow (3 s)": ("disk.latency_s=3.0",),
    "disk is slow (30 s)": ("disk.latency_s=30.0",),
    "disk fails to write": ("disk.write_fails",),
    "disk fails to sync": ("disk.sync_fails",),
    "disk is full": ("disk.full",),
    "disk turns read-only": ("disk.read_only",),
    "clock jumps back ten years": ("clock.jump_s=-320000000.0",),
    "clock jumps ahead ten years": ("clock.jump_s=320000000.0",),
    "price is changed": ("config.price",),
    "column is switched off": ("config.column",),
    "reader is switched off": ("config.reader",),
    "a technician wants the machine": ("config.service",),
    "two keys at once": ("act.chord",),
    "age is not proved": ("seen.not_proved",),
    "reader can't check an age": ("seen.unsupported",),
    "reader resets while an age is asked": ("reader.resets",),
    "nobody comes in time": ("seen.expired",),
    "vendd is killed while it waits": ("end.kill", "end.power"),
    "service manager stops vendd": ("end.stop",),
    "vendd is killed": ("end.kill",),
    "power is lost": ("end.power",),
    "a page of the journal is corrupt": ("damage.page",),
    "the last record is corrupt": ("damage.log", "damage.record"),
    "an old disk image is put back": ("damage.old",),
    "the records since the last start are gone": ("damage.old",),
    "the journal's file is deleted": ("damage.deleted",),
}  # fmt: skip
