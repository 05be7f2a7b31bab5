#!/usr/bin/python3
"""Weir's keys, hashes and buckets against a live PostgreSQL.

Starts a PostgreSQL 15 of its own, checks that the golden vectors are still what it computes, and runs the live
comparison (tests/unit/router/route/test_live.c) on random values.

Usage: tests/it/hash_vectors.py [--mode asan] [--rounds N] [--seed N]
"""
import argparse
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")
GOLDEN = os.path.join(ROOT, "tests/unit/router/route/golden_hash.h")


def as_postgres():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="weir-hash-")
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")

    def __enter__(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                 "--no-sync")
        options = "-c listen_addresses= -c unix_socket_directories=%s -c port=%d -c fsync=off" % (self.folder, self.port)
        self.run("pg_ctl", "-D", self.data, "-l", os.path.join(self.folder, "log"), "-o", options, "-w", "start")
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        subprocess.run([os.path.join(BIN, program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.folder,
                       **as_postgres())

    def environment(self):
        return dict(os.environ, PGHOST=self.folder, PGPORT=str(self.port), PGUSER="postgres")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="asan")
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--seed", default="0")
    arguments = parser.parse_args()
    test = "build/%s/tests/unit/router/route/test_live" % arguments.mode
    subprocess.run(["make", "-s", "MODE=" + arguments.mode, test], check=True, cwd=ROOT)
    with Server() as server:
        environment = server.environment()
        now = subprocess.run([os.path.join(ROOT, "tools/gen-hash-vectors")], check=True, stdout=subprocess.PIPE,
                             env=environment).stdout
        with open(GOLDEN, "rb") as golden:
            same = golden.read() == now
        print("golden vectors: %s" % ("as frozen" if same else "DIFFERENT from the live server's"))
        environment.update(WEIR_LIVE_ROUNDS=arguments.rounds, WEIR_LIVE_SEED=arguments.seed)
        rc = subprocess.run([os.path.join(ROOT, test)], env=environment).returncode
    sys.exit(0 if same and rc == 0 else 1)


main()
