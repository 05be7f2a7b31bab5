"""A PostgreSQL server that is not one: it logs clients in as told and then misbehaves as told. For tests of Weir's server side.

A behaviour is a function of a Peer; BEHAVIOURS names them. Those in LOGIN go wrong while logging in, those in QUERY on the
first query, those in IDLE when nothing was asked. Every behaviour must end in an error for the client, or in the plain
truth passed on; never in a crash, a hang, or another client's bytes.
"""
import base64
import os
import socket
import struct
import threading
import time

import wire
from wire import cstr, msg


class Peer:
    """One connection from Weir, at the server's end."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(30)

    def send(self, data):
        self.sock.sendall(data)

    def take(self, n):
        out = b""
        while len(out) < n:
            got = self.sock.recv(n - len(out))
            if not got:
                raise wire.Closed("gone")
            out += got
        return out

    def packet(self):
        size = struct.unpack("!I", self.take(4))[0]
        return self.take(size - 4)

    def message(self):
        kind = self.take(1).decode("latin1")
        return kind, self.packet()

    def wait_for(self, kinds):
        while True:
            kind, body = self.message()
            if kind == "X":
                raise wire.Closed("terminated")
            if kind in kinds:
                return kind, body

    # ---- the ordinary way ----
    def startup(self):
        """Up to the start-up packet; refuses TLS. Cancel requests end here."""
        while True:
            body = self.packet()
            code = struct.unpack_from("!I", body)[0]
            if code in (wire.SSL_CODE, wire.GSS_CODE):
                self.send(b"N")
            elif code == wire.CANCEL_CODE:
                raise wire.Closed("cancel request")
            else:
                return body

    def welcome(self, key=b"\0\0\0\7", status=b"I"):
        self.send(msg("R", b"\0\0\0\0") + self.parameters() + msg("K", b"\0\0\0\1" + key) + msg("Z", status))

    @staticmethod
    def parameters():
        known = {"server_version": "15.99", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
                 "TimeZone": "UTC", "integer_datetimes": "on", "IntervalStyle": "postgres", "is_superuser": "off",
                 "standard_conforming_strings": "on", "application_name": "", "session_authorization": "app",
                 "default_transaction_read_only": "off", "in_hot_standby": "off"}
        return b"".join(msg("S", cstr(k) + cstr(v)) for k, v in known.items())

    def login(self):
        self.startup()
        self.welcome()

    def one_row(self, value=b"1"):
        column = cstr("x") + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)
        return (msg("T", b"\0\1" + column) + msg("D", b"\0\1" + struct.pack("!I", len(value)) + value)
                + msg("C", cstr("SELECT 1")))

    def serve_well(self, seconds=60):
        """Answers every Query with one row and everything else as shortly as it may be."""
        end = time.time() + seconds
        while time.time() < end:
            kind, body = self.message()
            if kind == "Q":
                empty = body.strip(b"\0 ;") == b""
                self.send((msg("I") if empty else self.one_row()) + msg("Z", b"I"))
            elif kind == "S":
                self.send(msg("Z", b"I"))
            elif kind in "PBDC":
                self.send(msg({"P": "1", "B": "2", "D": "n", "C": "3"}[kind]))
            elif kind == "E":
                self.send(msg("C", cstr("SELECT 0")))
            elif kind == "X":
                return

    def real_query(self):
        """The next query that is not empty or one of Weir's own (those are answered well)."""
        while True:
            kind, body = self.message()
            text = body.rstrip(b"\0")
            if kind == "Q" and b"attack" in text:
                return
            if kind == "Q":
                self.send((self.one_row() if text.strip(b" ;") else msg("I")) + msg("Z", b"I"))
            elif kind == "S":
                self.send(msg("Z", b"I"))
            elif kind == "P" and b"attack" in text:
                return
            elif kind in "PBDC":
                self.send(msg({"P": "1", "B": "2", "D": "n", "C": "3"}[kind]))
            elif kind == "X":
                raise wire.Closed("terminated")

    def stay(self, seconds=30):
        """Reads and says nothing more."""
        end = time.time() + seconds
        while time.time() < end:
            if not self.sock.recv(65536):
                return

    # ---- SCRAM ----
    def scram_first(self):
        """Asks for SCRAM; returns the client's nonce."""
        self.startup()
        self.send(msg("R", struct.pack("!I", 10) + cstr("SCRAM-SHA-256") + b"\0"))
        kind, body = self.message()
        assert kind == "p"
        return body.split(b"r=", 1)[1].decode()

    def scram_continue(self, text):
        self.send(msg("R", struct.pack("!I", 11) + text.encode()))

    def scram_good(self, nonce):
        self.scram_continue("r=%s,s=%s,i=4096" % (nonce + "server", base64.b64encode(os.urandom(16)).decode()))


def raw(kind, length, body=b""):
    """A message whose length field says something of its own."""
    return kind.encode() + struct.pack("!I", length) + body


LOGIN, QUERY, IDLE = {}, {}, {}


def behaviour(table):
    def add(f):
        table[f.__name__] = f
        return f
    return add


# ---- while logging in ----
@behaviour(LOGIN)
def closes_at_once(p):
    pass


@behaviour(LOGIN)
def closes_after_startup(p):
    p.startup()


@behaviour(LOGIN)
def ssl_answer_is_garbage(p):
    p.packet()
    p.send(b"X")
    p.stay(5)


@behaviour(LOGIN)
def ssl_answer_is_an_error(p):
    p.packet()
    p.send(msg("E", b"SFATAL\0C53300\0Msorry\0\0"))


@behaviour(LOGIN)
def ssl_yes_then_plaintext(p):
    # bytes in the clear behind the 'S' must never be taken for the server's messages
    p.packet()
    p.send(b"S" + msg("R", b"\0\0\0\0") + p.parameters() + msg("K", b"\0\0\0\1\0\0\0\2") + msg("Z", b"I"))
    p.stay(5)


@behaviour(LOGIN)
def ssl_yes_then_silence_and_close(p):
    p.packet()
    p.send(b"S")
    time.sleep(0.2)


@behaviour(LOGIN)
def error_without_sqlstate(p):
    p.startup()
    p.send(msg("E", b"SFATAL\0Mno code here\0\0"))


@behaviour(LOGIN)
def error_empty(p):
    p.startup()
    p.send(msg("E"))


@behaviour(LOGIN)
def error_unterminated(p):
    p.startup()
    p.send(msg("E", b"SFATAL\0C28000\0Mno end"))


@behaviour(LOGIN)
def error_with_percent_and_newlines(p):
    p.startup()
    p.send(msg("E", b"SFATAL\0C28000\0M%s%n%d\nlevel=error forged=line\0\0"))


@behaviour(LOGIN)
def error_huge(p):
    p.startup()
    p.send(msg("E", b"SFATAL\0C28000\0M" + b"x" * 5000000 + b"\0\0"))


@behaviour(LOGIN)
def auth_truncated(p):
    p.startup()
    p.send(msg("R", b"\0\0"))
    p.stay(5)


@behaviour(LOGIN)
def auth_unknown(p):
    p.startup()
    p.send(msg("R", struct.pack("!I", 99)))
    p.stay(5)


@behaviour(LOGIN)
def auth_md5_short_salt(p):
    p.startup()
    p.send(msg("R", struct.pack("!I", 5) + b"ab"))
    p.stay(5)


@behaviour(LOGIN)
def auth_sasl_list_unterminated(p):
    p.startup()
    p.send(msg("R", struct.pack("!I", 10) + b"SCRAM-SHA-256"))
    p.stay(5)


@behaviour(LOGIN)
def auth_sasl_unknown_mechanisms(p):
    p.startup()
    p.send(msg("R", struct.pack("!I", 10) + cstr("PLAIN") + cstr("X" * 5000) + b"\0"))
    p.stay(5)


@behaviour(LOGIN)
def auth_sasl_continue_first(p):
    p.startup()
    p.send(msg("R", struct.pack("!I", 11) + b"r=abc,s=YQ==,i=4096"))
    p.stay(5)


@behaviour(LOGIN)
def scram_long_nonce(p):
    p.scram_continue("r=%s,s=YWJjZA==,i=4096" % (p.scram_first() + "n" * 1000000))
    p.stay(5)


@behaviour(LOGIN)
def scram_foreign_nonce(p):
    p.scram_first()
    p.scram_continue("r=somebodyelses,s=YWJjZA==,i=4096")
    p.stay(5)


@behaviour(LOGIN)
def scram_no_iterations(p):
    p.scram_continue("r=%sx,s=YWJjZA==,i=0" % p.scram_first())
    p.stay(5)


@behaviour(LOGIN)
def scram_endless_iterations(p):
    # four thousand million rounds of a hash would stop a thread for half an hour
    p.scram_continue("r=%sx,s=YWJjZA==,i=4294967295" % p.scram_first())
    p.stay(5)


@behaviour(LOGIN)
def scram_bad_salt(p):
    p.scram_continue("r=%sx,s=!!!!,i=4096" % p.scram_first())
    p.stay(5)


@behaviour(LOGIN)
def scram_empty(p):
    p.scram_first()
    p.scram_continue("")
    p.stay(5)


@behaviour(LOGIN)
def scram_skipped(p):
    # an impostor who does not know the password says 'ok' without the exchange's end
    p.scram_first()
    p.welcome()
    p.serve_well(5)


@behaviour(LOGIN)
def scram_no_server_proof(p):
    p.scram_good(p.scram_first())
    p.message()
    p.welcome()
    p.serve_well(5)


@behaviour(LOGIN)
def scram_wrong_server_proof(p):
    p.scram_good(p.scram_first())
    p.message()
    p.send(msg("R", struct.pack("!I", 12) + b"v=" + base64.b64encode(os.urandom(32))))
    p.welcome()
    p.serve_well(5)


@behaviour(LOGIN)
def length_zero(p):
    p.startup()
    p.send(raw("R", 0))
    p.stay(5)


@behaviour(LOGIN)
def length_three(p):
    p.startup()
    p.send(raw("R", 3))
    p.stay(5)


@behaviour(LOGIN)
def length_2_31(p):
    p.startup()
    p.send(raw("R", 0x7fffffff, b"\0\0\0\0"))
    p.stay(5)


@behaviour(LOGIN)
def length_2_32(p):
    p.startup()
    p.send(raw("R", 0xffffffff, b"\0\0\0\0"))
    p.stay(5)


@behaviour(LOGIN)
def parameter_unterminated(p):
    p.startup()
    p.send(msg("R", b"\0\0\0\0") + msg("S", b"server_version") + msg("Z", b"I"))
    p.stay(5)


@behaviour(LOGIN)
def parameters_without_end(p):
    # a flood that never comes to ReadyForQuery: ended by server_connect_timeout, in bounded memory
    p.startup()
    p.send(msg("R", b"\0\0\0\0"))
    end = time.time() + 5
    i = 0
    while time.time() < end:
        p.send(b"".join(msg("S", cstr("p%d" % (i + j)) + cstr("v" * 900)) for j in range(20)))
        i += 20
        time.sleep(0.01)


@behaviour(LOGIN)
def key_empty(p):
    p.startup()
    p.send(msg("R", b"\0\0\0\0") + p.parameters() + msg("K", b"") + msg("Z", b"I"))
    p.stay(5)


@behaviour(LOGIN)
def key_too_long(p):
    p.startup()
    p.send(msg("R", b"\0\0\0\0") + p.parameters() + msg("K", b"\0\0\0\1" + b"k" * 300) + msg("Z", b"I"))
    p.stay(5)


@behaviour(LOGIN)
def ready_with_wrong_status(p):
    p.startup()
    p.welcome(status=b"Q")
    p.serve_well(5)


@behaviour(LOGIN)
def ready_in_a_transaction(p):
    p.startup()
    p.welcome(status=b"T")
    p.serve_well(5)


@behaviour(LOGIN)
def silence(p):
    p.startup()
    p.stay()


@behaviour(LOGIN)
def row_instead_of_login(p):
    p.startup()
    p.send(p.one_row() + msg("Z", b"I"))
    p.stay(5)


@behaviour(LOGIN)
def negotiates_nonsense(p):
    p.startup()
    p.send(msg("v", struct.pack("!II", 0xffffffff, 0xffffffff)))
    p.stay(5)


# ---- on a query ----
def on_query(data, then_stay=True):
    def run(p):
        p.login()
        p.real_query()
        p.send(data(p) if callable(data) else data)
        if then_stay:
            p.stay(5)
    return run


QUERY.update({
    "query_closes": on_query(b"", False),
    "query_length_zero": on_query(raw("D", 0)),
    "query_length_three": on_query(raw("D", 3)),
    "query_length_2_31": on_query(raw("D", 0x7fffffff, b"x")),
    "query_length_2_32": on_query(raw("D", 0xffffffff, b"x")),
    "query_unknown_type": on_query(msg("@", b"??") + msg("Z", b"I")),
    "query_half_a_header": on_query(b"T\0\0", False),
    "query_half_a_row": on_query(lambda p: p.one_row()[:-20], False),
    "query_half_a_big_row": on_query(raw("D", 50000000, b"\0\1" + b"z" * 100000), False),
    "query_ready_wrong_status": on_query(lambda p: p.one_row() + msg("Z", b"?")),
    "query_ready_empty": on_query(lambda p: p.one_row() + msg("Z")),
    "query_ready_twice": on_query(lambda p: p.one_row() + msg("Z", b"I") + msg("Z", b"I")),
    "query_row_after_ready": on_query(lambda p: p.one_row() + msg("Z", b"I") + p.one_row(b"stray") + msg("Z", b"I")),
    "query_error_without_sqlstate": on_query(msg("E", b"SERROR\0Mno code\0\0") + msg("Z", b"I")),
    "query_error_empty": on_query(msg("E", b"\0") + msg("Z", b"I")),
    "query_error_no_body": on_query(msg("E") + msg("Z", b"I")),
    "query_error_fatal": on_query(msg("E", b"SFATAL\0VFATAL\0C57P01\0Mgoing down\0\0"), False),
    "query_copy_in": on_query(msg("G", b"\0\0\0")),
    "query_copy_in_truncated": on_query(msg("G", b"") + msg("Z", b"I")),
    "query_copy_both": on_query(msg("W", b"\0\0\0")),
    "query_auth_again": on_query(msg("R", struct.pack("!I", 3))),
    "query_key_again": on_query(lambda p: msg("K", b"\0\0\0\2\0\0\0\3") + p.one_row() + msg("Z", b"I")),
    "query_parameter_unterminated": on_query(msg("S", b"TimeZone") + msg("Z", b"I")),
    "query_parse_complete": on_query(lambda p: msg("1") + p.one_row() + msg("Z", b"I")),
    "query_command_unterminated": on_query(msg("C", b"SELECT 1") + msg("Z", b"I")),
    "query_silence": on_query(b""),
})


# ---- while idle ----
@behaviour(IDLE)
def idle_stray_row(p):
    """Once it is at rest: what comes at the very login may meet a query that is on its way already."""
    p.login()
    p.serve_well(0.1)
    p.send(p.one_row(b"nobody asked") + msg("Z", b"I"))
    p.serve_well(5)


@behaviour(IDLE)
def idle_stray_ready(p):
    p.login()
    p.send(msg("Z", b"I") * 3)
    p.serve_well(5)


@behaviour(IDLE)
def idle_error_fatal(p):
    p.login()
    p.send(msg("E", b"SFATAL\0VFATAL\0C57P01\0Mterminated by the administrator\0\0"))


@behaviour(IDLE)
def idle_half_message(p):
    p.login()
    p.send(b"N\0\0")
    p.serve_well(5)


@behaviour(IDLE)
def idle_notices(p):
    p.login()
    p.send(msg("N", b"SNOTICE\0C00000\0Mhello\0\0") * 1000 + msg("A", b"\0\0\0\1" + cstr("chan") + cstr("x")) * 1000)
    p.serve_well(5)


BEHAVIOURS = {**LOGIN, **QUERY, **IDLE}


class HostileServer:
    """Listens on a port of its own; every connection gets the behaviour in a thread of its own."""

    def __init__(self, run):
        self.run = run
        self.connections = 0
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stopped:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                self.run(Peer(sock))
            except (OSError, wire.WireError, struct.error, AssertionError, IndexError):
                pass    # Weir hung up on it, as it should

    def stop(self):
        self.stopped = True
        self.sock.close()


def well_behaved(p):
    p.login()
    p.serve_well()
