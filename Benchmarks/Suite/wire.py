"""The start of a PostgreSQL session: SCRAM-SHA-256 without channel binding, or no password; and simple queries whose rows nobody looks at."""

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import urllib.parse

from processes import BenchmarkError


class IdleClient:
    """A client that has logged in and says nothing."""

    def __init__(self, dsn):
        target = urllib.parse.urlsplit(dsn)
        # Bytes of answers, all together.
        self.taken = 0
        self._room = None
        self._password = urllib.parse.unquote(target.password or "")
        self._socket = socket.create_connection((target.hostname, target.port), timeout=20)
        parameters = f"user\0{target.username}\0database\0{target.path[1:]}\0\0".encode()
        self._socket.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        self._log_in()

    def close(self):
        self._socket.close()

    def drain(self, sql):
        """Runs one SELECT, and answers how many rows it gave, as its command tag says. They are not looked at: a client in Python would be slower than the servers."""
        self._send(b"Q", sql.encode() + b"\0")
        if self._room is None:
            # A login waits 20 s for an answer; a statement may take longer.
            self._room = memoryview(bytearray(1 << 20))
            self._socket.settimeout(600)
        tail = b""
        while not tail.endswith(b"Z\0\0\0\x05I"):
            count = self._socket.recv_into(self._room)
            if not count:
                raise BenchmarkError(f"the server closed the connection in the middle of {sql}")
            self.taken += count
            tail = (tail + bytes(self._room[max(0, count - 512):count]))[-512:]
        found = re.search(rb"C\0\0\0.SELECT (\d+)\0Z\0\0\0\x05I$", tail, re.DOTALL)
        if not found:
            raise BenchmarkError(f"{sql}: " + tail.replace(b"\0", b" ").decode(errors="replace"))
        return int(found[1])

    def _log_in(self):
        while True:
            kind, body = self._message()
            if kind == b"Z":
                return
            if kind == b"E":
                raise BenchmarkError("login failed: " + body.replace(b"\0", b" ").decode(errors="replace"))
            if kind == b"R":
                self._authenticate(struct.unpack("!I", body[:4])[0], body[4:])

    def _authenticate(self, method, data):
        if method == 10:
            self._nonce = base64.b64encode(os.urandom(18)).decode()
            self._first = f"n=,r={self._nonce}"
            answer = f"n,,{self._first}".encode()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(answer)) + answer)
        elif method == 11:
            self._send(b"p", self._proof(data.decode()))
        elif method not in (0, 12):
            raise BenchmarkError(f"authentication method {method} is not known here")

    def _proof(self, challenge):
        """RFC 5802, section 3."""
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={fields['r']}"
        signature = hmac.digest(hashlib.sha256(key).digest(), f"{self._first},{challenge},{last}".encode(), "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return f"{last},p={base64.b64encode(proof).decode()}".encode()

    def _send(self, kind, body):
        self._socket.sendall(kind + struct.pack("!I", 4 + len(body)) + body)

    def _message(self):
        kind, length = struct.unpack("!cI", self._bytes(5))
        return kind, self._bytes(length - 4)

    def _bytes(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise BenchmarkError("the server closed a connection at its start")
            data += more
        return data
