"""A server on loopback that answers by raw bytes, and tells what it was asked."""

import socket
import socketserver
import threading
from collections.abc import Callable
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    connection: int  # which of the connections, in the order of their coming
    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.fields if other == name]


class Peer:
    """One connection, as the script of a response has it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.socket = sock
        self.file = sock.makefile("rb")
        self.number = number
        self.is_over = False

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        """Take no further request on this connection."""
        self.is_over = True

    def reset(self) -> None:
        """End it as a host does that is gone: by RST rather than FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def read_line(self) -> str:
        return self.file.readline().decode("latin-1").rstrip("\r\n")

    def read_body(self, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            return b"".join(iter(self._read_chunk, b""))
        return self.file.read(int(fields.get("content-length", 0)))

    def _read_chunk(self) -> bytes:
        data = self.file.read(int(self.read_line(), 16))
        self.file.readline()
        return data


Script = Callable[[Peer, Asked], None]


class Origin:
    """Answers a path by its script: bytes to send, or a function of the connection.

    A function is called before the body of its request is read, and has to read it itself.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, bytes | Script] = {}
        self.asked: list[Asked] = []
        self._numbers = 0
        origin = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                origin._numbers += 1
                peer = Peer(self.request, origin._numbers)
                try:
                    while not peer.is_over and origin._answer(peer):
                        pass
                except (OSError, ValueError):
                    pass  # the other side is gone
                finally:
                    peer.file.close()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Origin":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, peer: Peer) -> bool:
        line = peer.read_line()
        if not line:
            return False
        fields = []
        while text := peer.read_line():
            name, _, value = text.partition(":")
            fields.append((name.lower(), value.strip()))
        script = self.scripts[line.split()[1].partition("?")[0]]
        body = peer.read_body(dict(fields)) if isinstance(script, bytes) else b""
        asked = Asked(peer.number, line, tuple(fields), body)
        self.asked.append(asked)
        if isinstance(script, bytes):
            peer.send(script)
        else:
            script(peer, asked)
        return True
