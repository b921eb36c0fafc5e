"""A request whose id is null is a request, and is answered with null (JSON-RPC 2.0, 4).

The library takes it for a notification, which has no ``id`` at all, and says nothing: who asked
would wait for ever.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from pjrpc.server import AsyncDispatcher

Context = TypeVar("Context")

_STAND_IN: Final = 0  # an id for the library; the answer gets the null back


async def dispatched(
    dispatcher: AsyncDispatcher[Context], text: str, context: Context
) -> str | None:
    """Carry out what one JSON text asks; returns its answer, None to a notification.

    Raises:
        ValueError: It is no JSON text.
    """
    message: Any = json.loads(text)
    is_null = isinstance(message, dict) and message.get("id", _STAND_IN) is None
    if is_null:
        text = json.dumps(message | {"id": _STAND_IN})
    answer = await dispatcher.dispatch(text, context)
    if answer is None:
        return None
    return json.dumps(json.loads(answer[0]) | {"id": None}) if is_null else answer[0]
