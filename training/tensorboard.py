"""TensorBoard's event files, written without TensorBoard: scalars by step.

References
----------
TFRecord: length, masked CRC-32C of it, data, masked CRC-32C of that (tensorflow/core/lib/io/record_writer.h). The data
are `Event` messages of protocol buffers (tensorflow/core/util/event.proto and framework/summary.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

#: Generation or step, tag, value, and when it was measured (UTC).
Scalar = tuple[int, str, float, datetime]

_FILE = "events.out.tfevents.0000000000.recurse"
_VERSION = b"brain.Event:2"
#: Reversed polynomial of CRC-32C (Castagnoli).
_POLYNOMIAL = 0x82F63B78
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def write_events(folder: Path, scalars: Iterable[Scalar]) -> Path:
    """Write scalars into an event file, in order of their steps, and return it; one of ours is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(scalars, key=lambda scalar: (scalar[0], scalar[1]))
    started = min((_seconds(scalar[3]) for scalar in ordered), default=0.0)
    events = [_field(1, _FIXED64, struct.pack("<d", started)) + _field(3, _BYTES, _VERSION)]
    for step, tag, value, at in ordered:
        said = _field(1, _BYTES, tag.encode()) + _field(2, _FIXED32, struct.pack("<f", value))
        event = _field(1, _FIXED64, struct.pack("<d", _seconds(at))) + _field(2, _VARINT, _varint(step))
        events.append(event + _field(5, _BYTES, _field(1, _BYTES, said)))
    draft = folder / f".{_FILE}.new"
    draft.write_bytes(b"".join(map(_record, events)))
    return draft.replace(folder / _FILE)


def _seconds(at: datetime) -> float:
    """Return seconds since 1970; times of the store are UTC without saying so."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _field(number: int, kind: int, content: bytes) -> bytes:
    """Return one field of a message."""
    length = _varint(len(content)) if kind == _BYTES else b""
    return _varint(number << 3 | kind) + length + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def masked_crc32c(data: bytes) -> int:
    """Return the check sum of TFRecord: the CRC turned and shifted, so that a CRC over CRCs is none of itself."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes."""
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)
