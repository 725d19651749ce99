"""A server of RTMP that plays one stream to whoever asks.

Source: Adobe's RTMP specification 1.0 (2012): handshake 5.2, chunks 5.3, commands 7.2; FLV tags:
video file format specification 10.1, annex E.4.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import Any

from streams import Sink, send

_CHUNK = 1 << 20  # bytes: no message of ours is longer
_COMMAND = re.compile(rb"\x02\x00.(connect|createStream|play)\x00(.{8})", re.DOTALL)


def play(connection: socket.socket) -> None:
    """Shake hands, answer until the client plays, and send pictures until it goes."""
    _shake_hands(connection)
    _send(connection, 1, struct.pack(">I", _CHUNK))  # set the size of chunks
    received = b""
    done = 0
    while True:
        data = connection.recv(4096)
        if not data:
            return
        received += data
        for command in list(_COMMAND.finditer(received))[done:]:
            done += 1
            if command[1] == b"play":
                _send(connection, 20, _text("onStatus") + _number(0) + b"\x05" + _status())
                _play(connection)
                return
            result = _object(level="status", code="NetConnection.Connect.Success")
            answer = result if command[1] == b"connect" else _number(1)
            _send(connection, 20, _text("_result") + b"\0" + command[2] + b"\x05" + answer)


def _shake_hands(connection: socket.socket) -> None:
    version, hello = _read(connection, 1), _read(connection, 1536)
    connection.sendall(version + bytes(1536) + hello)
    _read(connection, 1536)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("the client has gone")
        data += part
    return data


def _play(connection: socket.socket) -> None:
    written = bytearray()
    begun = False

    def write(data: bytes) -> None:
        nonlocal begun
        written.extend(data)
        if not begun and len(written) >= 13:  # the header of the file
            del written[:13]
            begun = True
        while begun and len(written) >= 11:
            size = int.from_bytes(written[1:4], "big")
            if len(written) < 11 + size + 4:
                return
            stamp = int.from_bytes(written[4:7], "big")
            _send(connection, written[0], bytes(written[11 : 11 + size]), stamp)
            del written[: 11 + size + 4]

    send(Sink(write), lambda: False, form="flv", options={"flvflags": "no_duration_filesize"})


def _send(connection: socket.socket, kind: int, body: bytes, stamp: int = 0) -> None:
    stream = 1 if kind in (8, 9, 18) else 0
    header = b"\x03" + stamp.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind])
    connection.sendall(header + struct.pack("<I", stream) + body)


def _text(text: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(text)) + text.encode()


def _number(value: float) -> bytes:
    return b"\0" + struct.pack(">d", value)


def _object(**items: Any) -> bytes:
    pairs = [
        struct.pack(">H", len(key)) + key.encode() + _text(value) for key, value in items.items()
    ]
    return b"\x03" + b"".join(pairs) + b"\0\0\x09"


def _status() -> bytes:
    return _object(level="status", code="NetStream.Play.Start", description="Started.")
