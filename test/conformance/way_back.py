#!/usr/bin/env python3
"""Asks an oned 4.6.2 and ours what they find in the same database, after ours has had it.

    way_back.py [--auth USER:PASSWORD] ONED_4_6 OURS CONF DATABASE...

A DATABASE is a file as a daemon has left it, of either kind; what ours has left behind when it was killed (FILE-wal) is taken too.
Ours starts on a copy and is stopped; then both start on copies of that, and every reading call has to get the same answer, but for
what a running daemon measures. CONF is an oned.conf in which @PORT@ stands for the port.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

POOLS = [("HOST", "host", ()), ("USER", "user", ()), ("GROUP", "group", ()), ("CLUSTER", "cluster", ()),
         ("DATASTORE", "datastore", ()), ("ZONE", "zone", ()), ("IMAGE", "image", (-2, -1, -1)), ("VNET", "vn", (-2, -1, -1)),
         ("VMTEMPLATE", "template", (-2, -1, -1)), ("VM", "vm", (-2, -1, -1, -2))]
OTHERS = [("one.acl.info", ()), ("one.userquota.info", ()), ("one.groupquota.info", ()), ("one.vmpool.accounting", (-2, -1, -1))]
# Measured by the daemon, made anew at its start, or its address; and the spaces behind a long body, which 4.6 keeps in its listings.
LIVE = re.compile(r"(?<=>) +(?=<[A-Z]|</[A-Z]+_POOL)|<(LAST_MON_TIME|LAST_POLL|(TOTAL|FREE|USED)_MB)>\d+|<TOKEN_PASSWORD>.*?</TOKEN_PASSWORD>|localhost:\d+")


class Daemon:
    """An oned on a copy of a database."""

    def __init__(self, program, args, database, port):
        self.auth, self.port = args.auth, port
        self.dir = tempfile.mkdtemp(prefix="way-back-")
        for name in ("etc", "var/vms", "var/datastores", "var/.one"):
            os.makedirs(os.path.join(self.dir, name))
        for end in ("", "-wal"):
            if os.path.exists(database + end):
                shutil.copy(database + end, self.file("var", "one.db" + end))
        with open(args.conf, encoding="utf-8") as f:
            conf = f.read().replace("@PORT@", str(port))
        with open(self.file("etc", "oned.conf"), "w", encoding="utf-8") as f:
            f.write(re.sub(r"(?m)^MANAGER_TIMER.*", "MANAGER_TIMER = 3600", conf))
        with open(self.file("one_auth"), "w", encoding="utf-8") as f:
            f.write(args.auth + "\n")
        for name in ("sunstone", "occi", "ec2", "onegate", "oneflow"):
            with open(self.file("var", ".one", name + "_auth"), "w", encoding="utf-8") as f:
                f.write("serveradmin:none\n")
        self.process = subprocess.Popen(
            [program, "-f"], env=dict(os.environ, ONE_LOCATION=self.dir, ONE_AUTH=self.file("one_auth")),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(program + " ends at once, see " + self.file("var", "oned.log"))
            if self.call("one.system.version")[0] is True:
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(program + " does not answer; was the password changed?")

    def file(self, *names):
        return os.path.join(self.dir, *names)

    def call(self, method, *args):
        """The success flag and the value, or False and the error."""
        try:
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1:%d/RPC2" % self.port), method)(self.auth, *args)[:2]
        except (OSError, xmlrpc.client.Error) as e:
            return [False, str(e)]

    def stop(self):
        """A regular stop; the database is left as one file."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        if os.path.exists(self.file("var", "one.db-wal")):
            raise RuntimeError("a stop leaves a log beside the database")

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)


def compare(real, ours):
    """Makes all calls to both; the number of calls, and what differs."""
    calls, differences = 0, []

    def ask(method, *args):
        nonlocal calls
        calls += 1
        want, got = (LIVE.sub("", str(d.call(method, *args)).replace(d.dir, "")) for d in (real, ours))
        if want != got:
            at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
            differences.append("%s %s\n    4.6.2: …%s\n    ours:  …%s" % (
                method, args, want[max(0, at - 60):at + 100], got[max(0, at - 60):at + 100]))
        return got

    for element, name, args in POOLS:
        pool = ask("one.%spool.info" % name, *args)
        for oid in re.findall("<%s><ID>([0-9]+)</ID>" % element, pool):
            ask("one.%s.info" % name, int(oid))
            if name in ("vm", "host"):
                ask("one.%s.monitoring" % name, int(oid))
    for kind in range(3):
        ask("one.documentpool.info", -2, -1, -1, kind)
    for method, args in OTHERS:
        ask(method, *args)
    return calls, differences


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--auth", default="oneadmin:opennebula")
    p.add_argument("--port", type=int, default=28400)
    p.add_argument("real", metavar="ONED_4_6")
    p.add_argument("ours", metavar="OURS")
    p.add_argument("conf", metavar="CONF")
    p.add_argument("databases", metavar="DATABASE", nargs="+")
    args = p.parse_args()
    calls, different, skipped = 0, 0, 0
    for database in args.databases:
        running = []
        try:
            first = Daemon(args.ours, args, database, args.port)
            running.append(first)
            first.stop()
            left = first.file("var", "one.db")
            real = Daemon(args.real, args, left, args.port + 1)
            running.append(real)
            ours = Daemon(args.ours, args, left, args.port + 2)
            running.append(ours)
            n, differences = compare(real, ours)
        except RuntimeError as e:
            print("SKIP %s: %s" % (database, e))
            skipped += 1
            continue
        finally:
            for d in running:
                if d.process.poll() is None:
                    d.kill()
                shutil.rmtree(d.dir, ignore_errors=True)
        calls += n
        if differences:
            different += 1
            print("FAIL %s\n  %s" % (database, "\n  ".join(differences[:5])))
    print("%d databases, %d answers: %d databases differ, %d skipped" % (len(args.databases), calls, different, skipped))
    return 1 if different or skipped == len(args.databases) else 0


if __name__ == "__main__":
    sys.exit(main())
