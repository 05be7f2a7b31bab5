"""The documentation says what is so: examples of configuration are right, links lead somewhere, settings and error texts exist."""
import glob
import os
import re
import shutil
import subprocess

import pytest

import harness

TOP = harness.TOP
PAGES = sorted(glob.glob(os.path.join(TOP, "docs", "*.md"))) + [os.path.join(TOP, "README.md")]
SHARDS = """default_shard = "s1"; shards = (
  { name = "s1"; primary = "host=127.0.0.1 dbname=shop"; }, { name = "s2"; primary = "host=127.0.0.2 dbname=shop"; } );"""
AUTH = 'auth = { users_file = "users.txt"; };\n'
weir_only = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def short(path):
    return os.path.relpath(path, TOP)


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


# ---- examples ----
def examples():
    for path in PAGES:
        text = read(path)
        for m in re.finditer(r"^```conf(?: (\w+))?\n(.*?)^```", text, re.M | re.S):
            yield pytest.param(m.group(1), m.group(2), id="%s:%d" % (short(path), text[:m.start()].count("\n") + 1))


def whole(kind, body):
    """An example as a whole file: `map` stands in a database, `part` beside one."""
    if kind == "map":
        return AUTH + 'databases = ( { name = "shop"; %s\n%s } );\n' % (SHARDS, body)
    if kind == "part":
        before = "" if re.search(r"^auth\b", body, re.M) else AUTH
        behind = "" if re.search(r"^databases\b", body, re.M) else '\ndatabases = ( { name = "shop"; %s } );\n' % SHARDS
        return before + body + behind
    assert kind is None, "unknown mark"
    return body


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the examples name."""
    d = tmp_path_factory.mktemp("docs")
    subprocess.run([os.path.join(TOP, "tools", "certs"), str(d)], check=True, stdout=subprocess.DEVNULL)
    for name, text in (("users.txt", '"app" "a"\n"weir" "b"\n'), ("tenants.csv", "acme,s2\n"), ("ident.conf", ""),
                       ("hba.conf", "host all all all scram-sha-256\n")):
        (d / name).write_text(text)
        (d / name).chmod(0o600)
    return d


@weir_only
@pytest.mark.parametrize("kind,body", examples())
def test_example(files, kind, body):
    path = files / "weir.conf"
    path.write_text(whole(kind, body))
    r = subprocess.run([harness.WEIR_BIN, "check", "--offline", "-c", str(path)], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + path.read_text()


# ---- links ----
def slug(heading):
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return text.replace(" ", "-")


def anchors(path):
    return {slug(h) for h in re.findall(r"^#+ (.*)$", without_blocks(read(path)), re.M)}


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_links(path):
    bad = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(read(path))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(there) or (anchor and anchor not in anchors(there)):
            bad.append(target)
    assert not bad


# ---- settings ----
# Names with an underscore that are none of Weir's settings: PostgreSQL's, members of the map, of examples.
OTHERS = set("""
    max_connections max_standby_streaming_delay hot_standby_feedback default_transaction_read_only client_encoding
    application_name search_path extra_float_digits query_to_xml default_shard entries_file lookup_cache_ttl
    lookup_cache_size max_prepared_transactions synchronous_commit two_phase best_effort target_session_attrs standard_conforming_strings read_only allow_gaps least_connections round_robin customer_id happened_on io_uring
""".split())


@pytest.fixture(scope="module")
def settings():
    text = subprocess.run([harness.WEIR_BIN, "config-docs"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall(r"^### `([^`]+)`", text, re.M)) | set(re.findall(r"Also read as `([^`]+)`", text))


def named(text):
    """What stands in code and looks like a setting: with an underscore, or in a group. `name = value` counts as name."""
    for code in re.findall(r"`([^`\n]+)`", without_blocks(text)):
        m = re.fullmatch(r"((?:(?:listen|auth|server_tls|log|metrics)\.)?[a-z.]+(?:_[a-z]+)*)(?: = .*)?;?", code)
        if m and re.match(r"[a-z]+_[a-z_]+$|(listen|auth|server_tls|log|metrics)\.", m.group(1)):
            yield m.group(1)


@weir_only
@pytest.mark.parametrize("path", [p for p in PAGES if os.path.basename(p) not in ("configuration.md", "contributing.md",
                                                                                "architecture.md", "benchmarks.md")], ids=short)
def test_settings_exist(path, settings):
    columns = set(re.findall(r'^COLUMN\(\w+, "(\w+)"', read(os.path.join(TOP, "router", "admin", "columns.def")), re.M))
    groups = {s.rpartition(".")[0] for s in settings}
    unknown = []
    for name in named(read(path)):
        if name not in settings | OTHERS | columns | groups and not name.startswith(("pg_", "weir_")):
            unknown.append(name)
    assert not unknown


# Files that the configuration reads itself: their users, rules and certificates come out of it as tables of their own.
READ_BY_CONFIG = set("""auth.users_file auth.hba_file auth.ident_file server_tls.mode server_tls.ca server_tls.cert
    server_tls.key""".split())


def test_every_setting_is_used():
    """Each field of settings.def is read by code outside the configuration and SHOW."""
    source = ""
    for path in glob.glob(os.path.join(TOP, "*", "**", "*.[ch]"), recursive=True):
        if not re.search(r"/(tests|build)/|/router/config/|/router/admin/show_", path):
            source += read(path)
    fields = re.findall(r'^SETTING\(\w+, [^,]+, (\w+),\s*"([^"]+)"', read(os.path.join(TOP, "router/config/settings.def")), re.M)
    assert len(fields) > 60
    assert {name for field, name in fields if not re.search(r"\b%s\b" % field, source)} <= READ_BY_CONFIG


# ---- error texts ----
# Texts that PostgreSQL, libpq or libconfig say.
FOREIGN = ("canceling statement due to conflict with recovery", "Address already in use", "a syntax error",
           "the connection hangs at login")


def source_texts():
    """All string literals of the source, neighbours joined, formats cut out."""
    text = ""
    for path in glob.glob(os.path.join(TOP, "*", "**", "*.[ch]"), recursive=True):
        if "/tests/" not in path and "/build/" not in path:
            text += re.sub(r'"\s*\n?\s*"', "", read(path))
    return text.replace('\\"', '"')


def error_rows(path):
    """The first cells of tables of errors."""
    for table in re.findall(r"(?:^\|.*\n)+", read(path), re.M):
        lines = table.splitlines()
        if re.match(r"\| (SQLSTATE, text|text|message) ", lines[0]):
            for line in lines[2:]:
                yield line.split("|")[1].strip()


def pieces(cell):
    """Parts of a text that must stand in the source: between names, numbers and states."""
    cell = re.sub(r"^[0-9A-Z]{5} |\([0-9A-Z]{5}\)$", "", cell.strip())
    for alternative in cell.split("; "):
        for piece in re.split(r"…|\d+|\"[^\"]*\"|/[\w/.]+|\([^)]*\)", alternative):
            if len(piece.strip(" :,.")) >= 8:
                yield piece.strip(" :,.")


def is_said(piece, source):
    """Its words follow each other in the source, but for one joint, where a text is put together."""
    words = piece.split()
    pairs = [" ".join(words[i:i + 2]) for i in range(max(1, len(words) - 1))]
    return sum(p not in source for p in pairs) <= (1 if len(pairs) > 1 else 0)


@pytest.mark.parametrize("name", ["routing.md", "troubleshooting.md"])
def test_error_texts(name):
    source, rows = source_texts(), list(error_rows(os.path.join(TOP, "docs", name)))
    assert len(rows) > 20
    assert [p for cell in rows if not any(f in cell for f in FOREIGN) for p in pieces(cell) if not is_said(p, source)] == []


# ---- the man page ----
@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_man_page():
    r = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(TOP, "docs", "weir.8")],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0 and r.stdout == ""


@weir_only
def test_man_page_has_every_command():
    usage = subprocess.run([harness.WEIR_BIN, "--help"], stdout=subprocess.PIPE, text=True).stdout
    page = read(os.path.join(TOP, "docs", "weir.8")).replace("\\-", "-")
    commands = re.findall(r"^  weir (\S+)", usage, re.M)
    assert len(commands) >= 5
    assert [c for c in commands if ".SS %s" % c not in page] == []
    for command in commands:
        text = subprocess.run([harness.WEIR_BIN, command, "--help"], stdout=subprocess.PIPE, text=True).stdout
        assert [o for o in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.M) if o not in page and o != "--help"] == []


# ---- pages ----
def test_every_page_is_in_the_index():
    index = read(os.path.join(TOP, "docs", "README.md"))
    assert [short(p) for p in PAGES if "docs" in short(p) and os.path.basename(p) not in ("README.md", "benchmarks.md")
            and "(%s)" % os.path.basename(p) not in index] == []
