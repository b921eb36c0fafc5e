"""The same over HTTPS, where MQTT is blocked: what is posted, and how the fleet's word comes down.

The certificate says who speaks, so no path names a machine. ``POST /link/v1/<topic>`` takes the
same body as the topic on MQTT, and answers when the fleet has committed it, with the
acknowledgements for it. ``events`` may carry several batches, one behind the other, with their
lengths in a header. ``POST /link/v1/down`` waits until there is something for the machine.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from cloud.contract.batch import MAX_BYTES
from cloud.contract.messages import Bytes, Message
from cloud.contract.topics import Topic

PREFIX: Final = "/link/v1"
HELLO: Final = f"{PREFIX}/hello"
DOWN: Final = f"{PREFIX}/down"
RENEW: Final = f"{PREFIX}/renew"
LENGTHS: Final = "vendd-lengths"  # a header of ``events``: the batches' lengths, with commas

MAX_POST_BYTES: Final = 2 * MAX_BYTES
MAX_BATCHES: Final = 16  # in one request: twice a machine's window
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
# A question waits so long for its answer. Gateways forget a silent connection after a minute.
WAIT_S: Final = 45.0
AT_ONCE: Final = 8  # commands in one answer; the machine's inbox holds as many
MAX_HAVE: Final = 512

DownId = Annotated[str, Field(min_length=1, max_length=80)]


def path_of(topic: Topic) -> str:
    """Return where a topic is posted to."""
    return f"{PREFIX}/{topic.value}"


class Down(BaseModel):
    """Something that the fleet says."""

    model_config = ConfigDict(frozen=True, extra="allow")

    topic: Topic
    id: Annotated[str, Field(max_length=80, description="names it in `have`; an ack has none")] = ""
    payload: Annotated[Bytes, Field(description="the same bytes as on MQTT")]


class Answer(Message):
    """What a request is answered with."""

    name: ClassVar[str] = "answer"

    messages: tuple[Down, ...] = ()
    problem: Annotated[str, Field(description="what was not understood, and where")] = ""


class Question(Message):
    """What is there for me?"""

    name: ClassVar[str] = "question"

    have: Annotated[
        tuple[DownId, ...],
        Field(max_length=MAX_HAVE, description="came on this connection: not again"),
    ] = ()
    wait: Annotated[
        float, Field(ge=0, le=WAIT_S, description="seconds to wait when there is nothing")
    ] = WAIT_S


class RenewalRequest(Message):
    """A machine asks for its next certificate, over a connection that proves its present key."""

    name: ClassVar[str] = "renewal"

    request: Annotated[str, Field(max_length=8_192, description="PKCS #10, PEM")]


class Renewal(Message):
    """The next certificate."""

    name: ClassVar[str] = "renewed"

    certificate: Annotated[str, Field(max_length=16_384, description="PEM")]
