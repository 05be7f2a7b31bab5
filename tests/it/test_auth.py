"""Every way to log in, through Weir, by the rules of harness.HBA; the same rules hold on the servers themselves."""
import getpass
import os
import tempfile
import time

import pytest

import harness
import wire


@pytest.fixture
def place(target):
    return target("wire")


def login(place, user, password=None, tls=False, cert=None, plus=False, **kw):
    w = wire.Wire("127.0.0.1", place.port, 8.0)
    if tls:
        assert w.ask(wire.SSL_CODE) == b"S"
        d = place.fleet.d["tls_dir"]
        pair = ("%s/client-%s.crt" % (d, cert), "%s/client-%s.key" % (d, cert)) if cert else (None, None)
        w.upgrade(d + "/ca.crt", *pair)
    password = harness.USERS[user] if password is None and user in harness.USERS else password
    return w.login(user, password or "", place.database, plus=plus, **kw)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("user", ["app", "app2", "md5_user", "plain_user", "trust_user", "weir"])
def test_right(place, user, tls):
    with login(place, user, tls=tls) as w:
        assert w.simple("select current_user, session_user") == [(user, user)]
        assert w.prepared("select $1::int + 1", ["1"]) == [("2",)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("user", ["app", "md5_user", "plain_user"])
@pytest.mark.parametrize("password", ["wrong", "", "app-secre", "app-secret ", "x" * 5000], ids=repr)
def test_wrong_password(place, user, tls, password):
    with pytest.raises((wire.ServerError, wire.Closed)) as e:
        login(place, user, password, tls=tls)
    if isinstance(e.value, wire.ServerError):
        assert e.value.sqlstate in ("28P01", "08P01")


def test_channel_binding(place):
    with login(place, "app", tls=True, plus=True) as w:
        assert w.simple("select 1") == [("1",)]


def test_certificate(place):
    with login(place, "cert_user", tls=True, cert="cert_user") as w:
        assert w.simple("select current_user") == [("cert_user",)]


def test_certificate_of_another(place):
    with pytest.raises((wire.ServerError, wire.Closed)):
        login(place, "cert_user", tls=True, cert="app")


def test_certificate_missing(place):
    with pytest.raises((wire.ServerError, wire.Closed)):
        login(place, "cert_user", tls=True)


def test_rejected_without_tls(place):
    with pytest.raises(wire.ServerError) as e:
        login(place, "cert_user")
    assert e.value.sqlstate == "28000"


def test_foreign_certificate(place):
    d = place.fleet.d["tls_dir"]
    w = wire.Wire("127.0.0.1", place.port, 8.0)
    assert w.ask(wire.SSL_CODE) == b"S"
    with pytest.raises((wire.WireError, OSError)):
        w.upgrade(d + "/ca.crt", d + "/other-ca.crt", d + "/other-ca.key")
        w.login("cert_user", "", place.database)


def test_direct_tls(weir):
    """TLS from the first byte, with ALPN `postgresql`: newer clients' sslnegotiation=direct."""
    d = weir.fleet.d["tls_dir"]
    w = wire.Wire("127.0.0.1", weir.port, 8.0)
    w.upgrade(d + "/ca.crt")
    assert w.sock.selected_alpn_protocol() == "postgresql"
    assert w.login("app", harness.USERS["app"], "wire").simple("select 1") == [("1",)]


def test_direct_tls_without_alpn_is_refused(weir):
    d = weir.fleet.d["tls_dir"]
    w = wire.Wire("127.0.0.1", weir.port, 8.0)
    with pytest.raises((wire.WireError, OSError)):
        w.upgrade(d + "/ca.crt", alpn=())
        w.login("app", harness.USERS["app"], "wire")


def test_unknown_database(place):
    place.database = "no_such_database"
    with pytest.raises(wire.ServerError) as e:
        login(place, "app")
    assert e.value.sqlstate == "3D000"


# ---- the operating system's word, on a Unix socket ----
def refused(host, port, user, database="wire"):
    with pytest.raises((wire.ServerError, wire.Closed)) as e:
        wire.connect(host, port, user, harness.USERS.get(user) or "", database)
    return getattr(e.value, "sqlstate", None)


@pytest.fixture
def socket_folder():
    folder = tempfile.mkdtemp(prefix="weir-")     # a socket's path must be short
    yield folder
    os.rmdir(folder)                              # the socket has gone with its Weir


@pytest.fixture
def socket_weir(socket_folder, own_weir, fleet, tmp_path):
    """Makes a Weir that listens on a Unix socket too: (it, the socket's folder)."""
    folder = socket_folder

    def make(edit=lambda text: text, settings="", **kw):
        with open(str(tmp_path / "ident.conf"), "w") as f:
            f.write("os %s app\nos nobody app2\nother %s app2\n" % (getpass.getuser(), getpass.getuser()))
        w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, settings)],
                     edit=lambda text: edit(text.replace(
                         'listen = {', 'listen = { unix_socket_dir = "%s"; ' % folder).replace(
                         'hba_file = "hba.conf";', 'hba_file = "hba.conf"; ident_file = "%s/ident.conf";' % tmp_path)), **kw)
        return w, folder

    return make


def test_peer_by_type(socket_weir):
    me = getpass.getuser()
    w, folder = socket_weir(lambda text: text.replace('type = "hba"', 'type = "peer"'),
                            'user = "app"; password = "%s";' % harness.USERS["app"])
    with wire.connect(folder, w.port, me, "", "wire") as c:
        assert c.simple("select session_user") == [("app",)]
    assert refused(folder, w.port, "app") == "28000"
    assert refused(folder, w.port, "nosuch") == "28000"
    assert refused("127.0.0.1", w.port, me) == "28000"
    assert refused("127.0.0.1", w.port, "app") == "28000"


def test_peer_by_rules(socket_weir):
    w, folder = socket_weir(hba="local all app peer map=os\nlocal all app2 peer map=os\nlocal all md5_user peer map=other\n"
                            "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n")
    with wire.connect(folder, w.port, "app", "", "wire") as c:
        assert c.simple("select session_user") == [("app",)]
        c.send(wire.query("select pg_sleep(20)"))
        time.sleep(0.3)
        c.cancel()
        with pytest.raises(wire.ServerError) as e:
            c._rows(5)
        assert e.value.sqlstate == "57014"
    # the map has the user for another of the system's; another map; no map
    for user in ("app2", "md5_user", "trust_user"):
        assert refused(folder, w.port, user) == "28000"
    with wire.connect("127.0.0.1", w.port, "app", harness.USERS["app"], "wire") as c:
        assert c.simple("select session_user") == [("app",)]
    with pytest.raises((wire.ServerError, wire.Closed)):
        wire.connect("127.0.0.1", w.port, "app", "", "wire")


def test_peer_is_for_local_lines(fleet):
    if harness.DIRECT:
        pytest.skip("WEIR_DIRECT: without Weir")
    w = harness.Weir(fleet, "peer-on-host", [harness.database_block(fleet, "wire", "wire", ["s1"], False)],
                     hba="host all all 127.0.0.1/32 peer\n")
    with pytest.raises(RuntimeError) as e:
        w.start()
    assert 'for "local" lines only' in str(e.value)


# ---- auth_query ----
def test_auth_query_is_not_for_the_console(own_weir, fleet):
    """The console has no servers to ask; its users come from the file."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)], auth='auth_user = "postgres";',
                 edit=lambda text: text.replace('stats_users = ( "weir" )', 'stats_users = ( "somebody" )'))
    with pytest.raises((wire.ServerError, wire.Closed)) as e:
        wire.connect("127.0.0.1", w.port, "somebody", "x", "weir")
    assert getattr(e.value, "sqlstate", None) == "28P01"
    with wire.connect("127.0.0.1", w.port, "postgres", harness.USERS["postgres"] or "", "weir") as c:
        c.simple("SHOW VERSION")


def test_auth_query_on_a_connection_that_is_gone(own_weir, fleet):
    p = fleet.d["shards"][0]["primary"]
    fleet.psql(p, "drop role if exists looked_up; create role looked_up login password 'looked-up-secret'", "wire")
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)], auth='auth_user = "postgres";')
    for _ in range(2):
        with wire.connect("127.0.0.1", w.port, "looked_up", "looked-up-secret", "wire") as c:
            assert c.simple("select 1") == [("1",)]
        fleet.psql(p, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weir'", "wire")
        time.sleep(0.3)


def test_auth_query_that_fails(own_weir, fleet):
    """Not a wrong password: nobody can tell."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)],
                 auth='auth_user = "postgres"; auth_query = "select nosuch, $1";')
    with pytest.raises(wire.ServerError) as e:
        wire.connect("127.0.0.1", w.port, "looked_up", "looked-up-secret", "wire")
    assert e.value.sqlstate == "08006"


def test_auth_database(own_weir, fleet):
    """The query and who runs it are those of the database that the client asks for; only the place is another's."""
    p = fleet.d["shards"][0]["primary"]
    fleet.psql(p, "drop role if exists looked_up; create role looked_up login password 'looked-up-secret'", "wire")
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                   'auth = { auth_user = "postgres"; auth_database = "shop"; };'),
                            harness.database_block(fleet, "shop", "shop", ["s1"], False)])
    with wire.connect("127.0.0.1", w.port, "looked_up", "looked-up-secret", "wire") as c:
        assert c.simple("select 1") == [("1",)]
    with pytest.raises(wire.ServerError) as e:
        wire.connect("127.0.0.1", w.port, "looked_up", "looked-up-secret", "shop")
    assert e.value.sqlstate == "28P01"
