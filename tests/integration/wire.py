"""Bytes on one connection: requests as they are written, responses as they are read."""

from .serving import Server


def head_of(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


class Wire:
    """One connection, on which responses are read one after the other."""

    def __init__(self, server: Server) -> None:
        self.socket = server.connect()
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def read_head(self) -> tuple[int, dict[str, str]]:
        status = int(self.file.readline().split()[1])
        fields = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            fields[name.lower()] = value
        return status, fields

    def read(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        status, fields = self.read_head()
        if not has_body:
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, b"".join(iter(self.read_chunk, b""))
        return status, fields, self.file.read(int(fields["content-length"]))

    def read_chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        chunk = self.file.read(int(self.file.readline(), 16))
        assert self.file.readline() == b"\r\n"
        return chunk
