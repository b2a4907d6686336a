"""Requests per second, latency and memory of `ulmfit serve`, at 1, 8 and 32 clients.

    python benchmarks/serve_load.py MODEL [--requests 2000] [--clients 1 8 32]

Each client sends one text of 20 to 60 words after the other on a connection of its own. Memory is that of the server's
process, before, and after each round.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

WORDS = [
    "the",
    "a",
    "parcel",
    "came",
    "late",
    "i",
    "was",
    "charged",
    "twice",
    "and",
    "nobody",
    "answered",
    "my",
    "mail",
    "thank",
    "you",
    "for",
    "it",
    "where",
    "is",
    "this",
]


def texts(n: int) -> list[str]:
    """Texts of 20 to 60 words, the same each time."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(20, 60))) for _ in range(n)]


def client(port: int, mine: list[str]) -> list[float]:
    """Ask for each text; seconds of each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seconds = []
    for text in mine:
        started = time.perf_counter()
        connection.request("POST", "/predict", json.dumps({"text": text}), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body!r}")
        seconds.append(time.perf_counter() - started)
    connection.close()
    return seconds


def memory_mb(process: int) -> float:
    """Resident memory of a process; Linux only."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else float("nan")


def main() -> None:
    """Run the server and the clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=2000, help="of each round")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="of each round")
    arguments = parser.parse_args()
    command = [sys.executable, "-u", "-m", "ulmfit", "serve", arguments.model, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        port = int(line.split("127.0.0.1:")[1].split()[0])
        client_when_ready(port)
        print(f"memory {memory_mb(server.pid):.0f} MB")
        for n_clients in arguments.clients:
            parts = [texts(arguments.requests)[i::n_clients] for i in range(n_clients)]
            started = time.perf_counter()
            with ThreadPoolExecutor(n_clients) as pool:
                seconds = np.concatenate(list(pool.map(client, [port] * n_clients, parts)))
            rate = len(seconds) / (time.perf_counter() - started)
            p50, p95 = np.percentile(seconds, [50, 95]) * 1000
            print(
                f"{n_clients} clients: {rate:.0f} requests/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
                f"{len(seconds)} answers, no error; memory {memory_mb(server.pid):.0f} MB"
            )
    finally:
        server.terminate()
        server.wait(30)


def client_when_ready(port: int) -> None:
    """Wait for the server and warm it up."""
    for _ in range(300):
        try:
            client(port, texts(20))
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server does not answer")


if __name__ == "__main__":
    main()
