"""A client of PostgreSQL's protocol v3 that does just what it is told: any message, raw bytes, any order.

Used by the message scripts (script.py) and by the integration tests. Standard library only. Nothing is sent or read that
the caller did not ask for, except in Wire.login(), which is the ordinary way in.
"""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct

PROTOCOL_3_0 = 196608
PROTOCOL_3_2 = 196610
CANCEL_CODE = 80877102
SSL_CODE = 80877103
GSS_CODE = 80877104


class WireError(Exception):
    pass


class Closed(WireError):
    """The peer closed the connection."""


class TimedOut(WireError):
    pass


class ServerError(WireError):
    def __init__(self, fields):
        super().__init__("%s: %s" % (fields.get("C"), fields.get("M")))
        self.fields = fields
        self.sqlstate = fields.get("C")


# ---- messages out ----
def cstr(s):
    return (s if isinstance(s, bytes) else s.encode()) + b"\0"


def msg(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def query(sql):
    return msg("Q", cstr(sql))


def parse(name, sql, oids=()):
    return msg("P", cstr(name) + cstr(sql) + struct.pack("!H", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))


def bind(portal, stmt, params=(), param_formats=(), result_formats=()):
    out = [cstr(portal), cstr(stmt), struct.pack("!H", len(param_formats))]
    out += [struct.pack("!H", f) for f in param_formats]
    out.append(struct.pack("!H", len(params)))
    for p in params:
        if p is None:
            out.append(struct.pack("!i", -1))
        else:
            b = p if isinstance(p, bytes) else str(p).encode()
            out.append(struct.pack("!i", len(b)) + b)
    out.append(struct.pack("!H", len(result_formats)))
    out += [struct.pack("!H", f) for f in result_formats]
    return msg("B", b"".join(out))


def describe(kind, name):
    return msg("D", kind.encode() + cstr(name))


def execute(portal="", max_rows=0):
    return msg("E", cstr(portal) + struct.pack("!I", max_rows))


def close(kind, name):
    return msg("C", kind.encode() + cstr(name))


SYNC = msg("S")
FLUSH = msg("H")
TERMINATE = msg("X")
COPY_DONE = msg("c")


def copy_data(data):
    return msg("d", data)


def copy_fail(text):
    return msg("f", cstr(text))


def function_call(oid, args, arg_formats=(), result_format=0):
    out = [struct.pack("!IH", oid, len(arg_formats))]
    out += [struct.pack("!H", f) for f in arg_formats]
    out.append(struct.pack("!H", len(args)))
    for a in args:
        out.append(struct.pack("!i", -1) if a is None else struct.pack("!i", len(a)) + a)
    out.append(struct.pack("!H", result_format))
    return msg("F", b"".join(out))


def startup(params, version=PROTOCOL_3_0):
    body = struct.pack("!I", version) + b"".join(cstr(k) + cstr(v) for k, v in params) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def request(code):
    return struct.pack("!II", 8, code)


def cancel_request(pid, key):
    return struct.pack("!III", 12 + len(key), CANCEL_CODE, pid) + key


# ---- messages in ----
def fields_of(body):
    """The fields of an ErrorResponse or NoticeResponse: code -> text."""
    out = {}
    for part in body.split(b"\0"):
        if part:
            out[chr(part[0])] = part[1:].decode("utf-8", "backslashreplace")
    return out


def row_of(body):
    n, at, row = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(n):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        if size < 0:
            row.append(None)
        else:
            row.append(body[at:at + size])
            at += size
    if at != len(body):
        raise WireError("DataRow with %d bytes too many" % (len(body) - at))
    return row


def columns_of(body):
    """RowDescription: (name, table oid, column number, type oid, size, modifier, format) each."""
    n, at, out = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(n):
        end = body.index(b"\0", at)
        name = body[at:end].decode("utf-8", "backslashreplace")
        out.append((name,) + struct.unpack_from("!IHIhiH", body, end + 1))
        at = end + 1 + 18
    return out


class Scram:
    """SCRAM-SHA-256 from the client's side (RFC 5802, RFC 7677), with channel binding when cbind_data is given."""

    def __init__(self, user, password, mechanism, cbind_data=None, gs2=None):
        self.password = password.encode()
        self.mechanism = mechanism
        self.cbind = cbind_data or b""
        self.gs2 = gs2 or ("p=tls-server-end-point,," if mechanism.endswith("-PLUS") else "n,,")
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.first_bare = "n=,r=" + self.nonce

    def first(self):
        body = (self.gs2 + self.first_bare).encode()
        return msg("p", cstr(self.mechanism) + struct.pack("!I", len(body)) + body)

    def final(self, server_first):
        text = server_first.decode()
        parts = dict(p.split("=", 1) for p in text.split(","))
        if not parts["r"].startswith(self.nonce):
            raise WireError("server's nonce does not begin with ours")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(parts["s"]), int(parts["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = "c=%s,r=%s" % (base64.b64encode(self.gs2.encode() + self.cbind).decode(), parts["r"])
        auth = ",".join((self.first_bare, text, bare)).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expect = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
        return msg("p", ("%s,p=%s" % (bare, base64.b64encode(proof).decode())).encode())

    def check(self, server_final):
        if server_final != b"v=" + base64.b64encode(self.expect):
            raise WireError("server's SCRAM signature is wrong")


class Wire:
    """One connection. host may be a directory of Unix sockets."""

    def __init__(self, host, port, timeout=10.0):
        self.host, self.port, self.timeout = host, int(port), timeout
        if host.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect("%s/.s.PGSQL.%d" % (host, self.port))
        else:
            self.sock = socket.create_connection((host, self.port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.pid, self.key = None, None
        self.params = {}
        self.status = None      # of the last ReadyForQuery
        self.notices, self.notifications = [], []

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes ----
    def send(self, data, fragment=0):
        """Sends; fragment > 0 sends so many bytes at a time, each in a segment of its own."""
        try:
            if not fragment:
                self.sock.sendall(data)
                return
            for i in range(0, len(data), fragment):
                self.sock.sendall(data[i:i + fragment])
        except (BrokenPipeError, ConnectionResetError):
            pass    # what the peer said before it closed is still to be read

    def _fill(self, n, timeout=None):
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        while len(self.buf) < n:
            try:
                got = self.sock.recv(max(65536, n - len(self.buf)))
            except (socket.timeout, ssl.SSLWantReadError):
                raise TimedOut("nothing more within the time limit; %d bytes so far: %r" % (
                    len(self.buf), self.buf[:60]))
            except (ConnectionResetError, ssl.SSLError, BrokenPipeError) as e:
                raise Closed(str(e))
            if not got:
                raise Closed("closed with %d bytes unread" % len(self.buf) if self.buf else "closed")
            self.buf += got

    def take(self, n, timeout=None):
        self._fill(n, timeout)
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    # ---- messages ----
    def read(self, timeout=None):
        """The next message: (kind, body)."""
        self._fill(5, timeout)
        size = struct.unpack_from("!I", self.buf, 1)[0]
        if size < 4 or size > 0x40000000:
            raise WireError("message %r with length %d" % (self.buf[:1], size))
        self._fill(size + 1, timeout)
        kind, body = chr(self.buf[0]), self.buf[5:size + 1]
        self.buf = self.buf[size + 1:]
        self._note(kind, body)
        return kind, body

    def _note(self, kind, body):
        if kind == "K":
            self.pid, self.key = struct.unpack_from("!I", body)[0], body[4:]
        elif kind == "S":
            k, v = body.split(b"\0")[:2]
            self.params[k.decode()] = v.decode("utf-8", "backslashreplace")
        elif kind == "Z":
            self.status = body.decode()
        elif kind == "N":
            self.notices.append(fields_of(body))
        elif kind == "A":
            channel, payload = body[4:].split(b"\0")[:2]
            self.notifications.append((channel.decode(), payload.decode()))

    def read_until(self, kinds, timeout=None):
        """Messages up to and including the first of one of kinds."""
        out = []
        while True:
            m = self.read(timeout)
            out.append(m)
            if m[0] in kinds:
                return out

    def at_eof(self, timeout=None):
        """True when the peer closes without a further byte."""
        try:
            self._fill(1, timeout)
        except Closed:
            return True
        return False

    # ---- start-up ----
    def ask(self, code):
        """SSLRequest or GSSENCRequest: the answer byte."""
        self.send(request(code))
        return self.take(1)

    def upgrade(self, ca=None, cert=None, key=None, alpn=("postgresql",), hostname="localhost"):
        """The TLS handshake. A certificate is checked only when a ca is given."""
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = bool(ca)
        ctx.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
        if ca:
            ctx.load_verify_locations(ca)
        if cert:
            ctx.load_cert_chain(cert, key)
        if alpn:
            ctx.set_alpn_protocols(list(alpn))
        self.sock.settimeout(self.timeout)
        self.sock = ctx.wrap_socket(self.sock, server_hostname=hostname)

    def channel_binding(self):
        """tls-server-end-point data of this connection (certificates signed with SHA-256)."""
        return hashlib.sha256(self.sock.getpeercert(True)).digest()

    def authenticate(self, user, password, plus=False, on_message=None):
        """Answers authentication requests until AuthenticationOk."""
        scram = None
        while True:
            kind, body = self.read()
            if on_message:
                on_message(kind, body)
            if kind == "E":
                raise ServerError(fields_of(body))
            if kind == "v" or kind == "N":
                continue
            if kind != "R":
                raise WireError("message '%s' during authentication" % kind)
            code = struct.unpack_from("!I", body)[0]
            if code == 0:
                return
            if code == 3:
                self.send(msg("p", cstr(password)))
            elif code == 5:
                inner = hashlib.md5((password + user).encode()).hexdigest()
                self.send(msg("p", cstr("md5" + hashlib.md5(inner.encode() + body[4:8]).hexdigest())))
            elif code == 10:
                offered = body[4:].split(b"\0")
                name = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
                if name.encode() not in offered:
                    raise WireError("%s is not offered" % name)
                scram = Scram(user, password, name, self.channel_binding() if plus else None)
                self.send(scram.first())
            elif code == 11:
                self.send(scram.final(body[4:]))
            elif code == 12:
                scram.check(body[4:])
            else:
                raise WireError("authentication request %d" % code)

    def login(self, user, password="", database=None, options=(), version=PROTOCOL_3_0, plus=False):
        """Startup packet to the first ReadyForQuery."""
        params = [("user", user)] + ([("database", database)] if database else []) + list(options)
        self.send(startup(params, version))
        self.authenticate(user, password, plus)
        for kind, body in self.read_until("ZE"):
            if kind == "E":
                raise ServerError(fields_of(body))
        return self

    # ---- short cuts for tests ----
    def simple(self, sql, timeout=None):
        """A simple query: the rows of all its statements, as text. Raises ServerError after ReadyForQuery."""
        self.send(query(sql))
        return self._rows(timeout)

    def prepared(self, sql, params=(), timeout=None, name=""):
        self.send(parse(name, sql) + bind("", name, params) + execute() + SYNC)
        return self._rows(timeout)

    def _rows(self, timeout):
        rows, error = [], None
        for kind, body in self.read_until("Z", timeout):
            if kind == "D":
                rows.append(tuple(None if v is None else v.decode("utf-8", "backslashreplace") for v in row_of(body)))
            elif kind == "E" and error is None:
                error = ServerError(fields_of(body))
        if error:
            raise error
        return rows

    def cancel(self):
        """Sends a cancel request on a connection of its own, and waits until the server has closed that."""
        with Wire(self.host, self.port, self.timeout) as c:
            c.send(cancel_request(self.pid, self.key))
            c.at_eof()


def connect(host, port, user, password="", database=None, timeout=10.0, **kw):
    w = Wire(host, port, timeout)
    try:
        return w.login(user, password, database, **kw)
    except BaseException:
        w.close()
        raise
