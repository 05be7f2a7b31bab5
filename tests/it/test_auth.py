"""Every way to log in, through Weir, by the rules of harness.HBA; the same rules hold on the servers themselves."""
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
