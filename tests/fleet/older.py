"""This software as it was before it knew everything."""

from collections.abc import Iterator
from contextlib import contextmanager

from cloud.contract.journal import REGISTRY, RecordData


@contextmanager
def older_software(*kinds: type[RecordData]) -> Iterator[None]:
    """This software, before it knew some types of records."""
    for kind in kinds:
        del REGISTRY[kind.type]
    try:
        yield
    finally:
        for kind in kinds:
            REGISTRY[kind.type] = kind
