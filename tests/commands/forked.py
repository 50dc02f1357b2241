"""A shell's call of `sweeper`, as a fork of the driver (tests/commands/driver.py).

    python forked.py MARK ARGUMENTS

MARK names the driver's socket, and marks the fork's own processes. The fork has the call's arguments, folder,
environment and streams; the call passes signals on, and ends with its exit code.
"""

import json
import os
import signal
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as driver:
    mark, *arguments = sys.argv[1:]
    driver.connect(f"\0{mark}")
    environment = {**os.environ, "SWEEPER_TEST_MARK": mark}
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": environment}
    socket.send_fds(driver, [json.dumps(request).encode()], [0, 1, 2])
    process = int(driver.recv(64))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(process, number))
    code = driver.recv(64)
if not code:
    sys.exit("the driver has ended")
sys.exit(int(code) if int(code) >= 0 else 128 - int(code))
