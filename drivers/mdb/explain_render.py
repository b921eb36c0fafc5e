"""An explanation as lines for people.

Pure.
"""

from typing import Final

from drivers.explanation import BlockExplanation, Field
from drivers.mdb.explain_parts import Explanation

BYTES_PER_LINE: Final = 8
"""A longer field goes on in the next line, so that the columns stay narrow."""


def render(explanation: Explanation) -> list[str]:
    """The explanation for people: aligned columns of bytes, field and meaning."""
    lines: list[str] = []
    for title, block in (("request", explanation.request), ("response", explanation.response)):
        if block is not None:
            lines += [""] if lines else []
            lines += _render_block(title, block)
    return lines


def _render_block(title: str, block: BlockExplanation) -> list[str]:
    lines = [f"{title}: {block.direction}: {block.name}"]
    fields = [field for part in block.parts for field in part.fields]
    hex_width = max(min(len(field.bytes), 3 * BYTES_PER_LINE - 1) for field in fields)
    name_width = max(len(field.name) for field in fields)
    messages = [part for part in block.parts if part.name not in ("request", "checksum")]
    for part in block.parts:
        if part in messages and len(messages) > 1:
            words = f" ({part.meaning})" if part.meaning else ""
            lines.append(f"  {messages.index(part) + 1}. {part.name}{words}")
        for field in part.fields:
            lines += _render_field(field, hex_width, name_width)
    lines += [f"  error: {error}" for error in block.errors]
    lines += [f"  note: {note}" for note in block.notes]
    return lines


def _render_field(field: Field, hex_width: int, name_width: int) -> list[str]:
    step = 3 * BYTES_PER_LINE
    chunks = [field.bytes[at : at + step].rstrip() for at in range(0, len(field.bytes), step)]
    meaning = field.meaning if field.scaled is None else f"{field.meaning} = {field.scaled}"
    first = f"  {chunks[0]:<{hex_width}}  {field.name:<{name_width}}  {meaning}".rstrip()
    return [first, *(f"  {chunk}" for chunk in chunks[1:])]
