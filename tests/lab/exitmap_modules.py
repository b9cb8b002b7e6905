"""Modules by exitmap's contract: what `test_exitmap.py` runs."""

MANY = """
import logging, subprocess, urllib.request
import util
log = logging.getLogger(__name__)
destinations = [("web.test", 80)]

def python(exit_desc):
    seen = urllib.request.urlopen("http://web.test/ip", timeout=30).read().decode().strip()
    log.log(logging.INFO if seen == exit_desc.address else logging.CRITICAL, "%s sees %s", exit_desc.nickname, seen)
    subprocess.run(["curl", "-sS", "-o", "/dev/null", "http://web.test/ip"], check=True)

def probe(exit_desc, run_python_over_tor, run_cmd_over_tor, **kwargs):
    run_python_over_tor(python, exit_desc)
    lines = []
    curl = ["curl", "-sSv", "http://web.test/ip"]
    out = run_cmd_over_tor.execute(curl, 30, lambda line, kill: not lines.append(line))
    assert out == (b"", None) and exit_desc.address in lines, (out, lines)
    util.dump_to_file("dumped " + exit_desc.address, exit_desc.fingerprint)
"""
STATE = """
import logging, os, threading, util
log = logging.getLogger(__name__)
folder, seen, lock, destinations = None, [], None, [("example.org", 25)]

def setup(consensus={}, target=None):
    global folder, lock, destinations
    folder, lock, destinations = util.analysis_dir, threading.Lock(), [("web.test", 80), ("web.test", 443)]
    seen.append(len(consensus) > 4 and all(fp == entry.fingerprint for fp, entry in consensus.items()))
    os.makedirs(folder)
    log.info("setup for %s", target)

def probe(desc, python, cmd, destinations):
    seen.append("never seen by anybody else")
    allowed = sorted(port for host, port in destinations if host == "web.test")
    with open(os.path.join(folder, desc.nickname), "w") as file:
        print(seen[0], len(seen), allowed, desc.exit_policy.can_exit_to(port=80), file=file)
    if desc.nickname == "exit01":
        lock.acquire()

def teardown(stats=None, controller=None, terminated_relays=None):
    log.warning("teardown %s %s %s %s", seen, stats.total_circuits, sorted(os.listdir(folder))[:2], terminated_relays)
"""
WANTS = """
import socket
try:
    socket.create_connection(("web.test", 80))
except OSError:
    pass
def setup():
    WHAT
destinations = None
def probe(exit_desc, run_python_over_tor, run_cmd_over_tor):
    raise AssertionError
"""
ENDS = """
import os, subprocess, sys, time
destinations = None
def fail():
    raise ConnectionRefusedError("swallowed")
def probe(exit_desc, target_host, target_port, run_python_over_tor, run_cmd_over_tor, first_hop, socks_port, **kwargs):
    assert (target_host, target_port, first_hop) == ("web.test", 80, None) and ("any", 1) in kwargs["destinations"]
    what = int(exit_desc.nickname[-1])
    if what == 1: raise ValueError("no\\nway")
    if what == 2: sys.exit(7)
    if what == 3: os._exit(0)
    if what == 4: subprocess.run(["sleep", "60"])
    run_python_over_tor(fail)
"""
RESOLVES = """
import logging
import error, socket, torsocks
import util, command, stats, relayselector, eventhandler, exitmap, log as own_log
log = logging.getLogger(__name__)
destinations = None
def resolve(exit_desc):
    for name in "v4.test", "no-such-name.test":
        sock = torsocks.torsocket()
        sock.settimeout(10)
        try:
            log.info("%s is %s", name, sock.resolve(name))
        except error.SOCKSv5Error as err:
            log.error("%s: %s", name, err)
def probe(exit_desc, run_python_over_tor, run_cmd_over_tor, **kwargs):
    run_python_over_tor(resolve, exit_desc)
    try:
        torsocks.torsocket(socket.AF_INET6)
    except OSError as why:
        log.debug(why)
"""
