"""What the server's memory comes to while eight clients page by a thousand."""

import os
import threading
import time
from pathlib import Path

from benchmarks.gis.common import over_http

CLIENTS, LIMIT, PAGES_EACH = 8, 1000, 20
_STILL_SECONDS = 5.0
_PATH = f"/ogc/collections/units/items?limit={LIMIT}"


def measure(port: int, pid: int) -> None:
    """Resident memory once warm and idle, and its highest under the load."""
    over_http(port, [_PATH])(0)
    idle = _at_rest_mb(pid)
    clients = [over_http(port, [_PATH]) for _ in range(CLIENTS)]
    threads = [
        threading.Thread(target=lambda ask: [ask(0) for _ in range(PAGES_EACH)], args=(ask,))
        for ask in clients
    ]
    for thread in threads:
        thread.start()
    most = idle
    while any(thread.is_alive() for thread in threads):
        most = max(most, _resident_mb(pid))
        threads[0].join(0.05)
    print(f"\nmemory of the server: idle {idle:.0f} MB, under {CLIENTS} clients of limit {LIMIT}")
    print(f"    at most {most:.0f} MB: {most / idle:.2f} times   target 1.2")


def _at_rest_mb(pid: int) -> float:
    """Resident memory once what a start brings has been loaded: when it has stood still."""
    before, now = 0.0, _resident_mb(pid)
    while now - before > 1:
        time.sleep(_STILL_SECONDS)
        before, now = now, _resident_mb(pid)
    return now


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
