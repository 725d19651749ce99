"""Packets of MQTT 3.1.1, as many clients in one process send them."""

from __future__ import annotations

import struct

from fleet_load.boxes import Message

_KEEPALIVE = 30  # s, as the service's


def connect(client: str, will: tuple[str, str]) -> bytes:
    """Return the packet that opens a session, with a will that is retained."""
    flags = 0x02 | 0x04 | 1 << 3 | 0x20  # clean session; a will, of QoS 1, retained
    parts = (client, *will)
    body = _text("MQTT") + bytes([4, flags]) + struct.pack("!H", _KEEPALIVE)
    return _packet(0x10, body + b"".join(map(_text, parts)))


def publish(message: Message, number: int) -> bytes:
    """Return the packet of a message.

    Args:
        message: the message.
        number: by which the broker confirms it if it is sure, 1 to 65535.
    """
    first = 0x30 | message.sure << 1 | message.retain
    identifier = struct.pack("!H", number) if message.sure else b""
    return _packet(first, _text(message.topic) + identifier + message.payload)


DISCONNECT = bytes([0xE0, 0])
CONNECTED = bytes([0x20, 2, 0, 0])
CONFIRMED = 4  # bytes by which the broker confirms a message


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!H", len(encoded)) + encoded


def _packet(first: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, seven = divmod(size, 128)
        length += bytes([seven | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + length + body
