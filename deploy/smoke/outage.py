"""Stops PostgreSQL under load and starts it again, and sees that nothing breaks but what must.

    python3 deploy/smoke/outage.py [--seconds 60] [--rate 5]

The stack runs, and `docker compose` (or COMPOSE, such as docker-compose) reaches it. What must hold:

- while PostgreSQL is away, orders are answered with 503 and a problem document, and every service stays alive;
- once it is back, orders are confirmed again, with no help and no restart;
- every order that was confirmed is there, confirmed; none is charged or taken from the stock twice.
"""

import argparse
import collections
import concurrent.futures
import os
import shlex
import subprocess
import sys
import threading
import time

import shop

COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker compose"))
BEFORE_SECONDS = 15
AFTER_SECONDS = 45
SERVICES = ("order-service", "user-service", "inventory-service", "payment-service")
# Requests under way when PostgreSQL stops, or just before it takes connections again, may end either way.
EDGE_SECONDS = 5


def compose(*arguments):
    return subprocess.run([*COMPOSE, *arguments], cwd=shop.ROOT, check=True, capture_output=True, text=True).stdout


def sql(database, query):
    return compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", database, "-Atc", query).strip()


def restarts():
    ids = compose("ps", "-q", *SERVICES).split()
    counts = subprocess.run(["docker", "inspect", "-f", "{{.RestartCount}} {{.State.StartedAt}}", *ids], check=True, capture_output=True, text=True)
    return counts.stdout


class Load:
    """Orders at a steady rate; remembers every answer."""

    def __init__(self, at, rate):
        self.at, self.rate = at, rate
        self.stop = threading.Event()
        self.answers = []

    def place(self):
        begun = time.monotonic()
        try:
            answer = self.at.order(self.at.in_stock)
            kind = answer.headers.get_content_type()
            body = answer.json()
            self.answers.append((begun, time.monotonic(), answer.status, kind, body))
        except (OSError, ValueError) as error:
            self.answers.append((begun, time.monotonic(), "no answer", "", {"code": str(error)}))

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            while not self.stop.wait(1 / self.rate):
                pool.submit(self.place)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long PostgreSQL is away (60)")
    parser.add_argument("--rate", type=float, default=5, help="orders a second (5)")
    options = parser.parse_args()
    failures = 0

    def claim(holds, text):
        nonlocal failures
        failures += not holds
        print(("ok      " if holds else "FAILED  ") + text, flush=True)

    at = shop.Shop()
    load = Load(at, options.rate)
    before = restarts()
    thread = threading.Thread(target=load.run)
    thread.start()
    dead = collections.Counter()
    try:
        time.sleep(BEFORE_SECONDS)
        compose("stop", "postgres")
        away = time.monotonic()
        while time.monotonic() < away + options.seconds:
            for url in (at.order_url, at.user_url, at.inventory_url):
                try:
                    dead[url] += shop.ask(f"{url}/health").status != 200
                except OSError:
                    dead[url] += 1
            time.sleep(1)
        compose("start", "postgres")
        back = time.monotonic()
        time.sleep(AFTER_SECONDS)
    finally:
        load.stop.set()
        thread.join()

    during = [row for row in load.answers if row[0] > away + EDGE_SECONDS and row[1] < back]
    told = collections.Counter((status, kind, body.get("code")) for _, _, status, kind, body in during)
    print(f"while it was away: {dict(told)}")
    claim(during and all(status == 503 and kind == "application/problem+json" for status, kind, _ in told), "503 and a problem document, and nothing else, while PostgreSQL is away")
    claim(not any(dead.values()), "every service answers /health all the while")
    claim(restarts() == before, "no service was restarted")
    again = [row[1] - back for row in load.answers if row[0] > back and row[2] == 201]
    claim(bool(again), "orders are confirmed again" + (f", {min(again):.1f} s after PostgreSQL was started" if again else ""))

    confirmed = {row[4]["order_id"] for row in load.answers if row[2] == 201}
    accepted = {row[4]["order_id"] for row in load.answers if row[2] == 202}
    outcomes = collections.Counter(str(row[2]) for row in load.answers)
    print(f"all answers: {dict(outcomes)}")
    product = at.in_stock
    deadline = time.monotonic() + 180
    while True:
        states = dict(line.split("|") for line in sql("order_service", f"SELECT id, status FROM orders WHERE product_id = '{product}'").splitlines())
        open_ = {order: state for order, state in states.items() if state not in ("confirmed", "failed", "cancelled")}
        if not open_ or time.monotonic() > deadline:
            break
        time.sleep(3)
    claim(not open_, f"every order has ended {dict(collections.Counter(states.values()))}")
    claim(all(states.get(order) == "confirmed" for order in confirmed | accepted), f"each of the {len(confirmed | accepted)} orders that were confirmed to their customer is there")
    kept = sum(state == "confirmed" for state in states.values())
    sold = shop.PLENTY - int(sql("inventory_service", f"SELECT on_hand FROM stock WHERE product_id = '{product}'"))
    held = int(sql("inventory_service", f"SELECT reserved FROM stock WHERE product_id = '{product}'"))
    claim(sold == kept, f"{sold} pieces left the stock for {kept} confirmed orders")
    claim(held == 0, f"{held} pieces are still reserved")
    captured = {line for line in sql("payment_service", "SELECT order_id FROM payments WHERE status = 'captured'").splitlines()}
    mine = captured & states.keys()
    claim(mine == {order for order, state in states.items() if state == "confirmed"}, f"{len(mine)} payments are captured, those of the confirmed orders")
    print(f"{failures} failed" if failures else "all of it holds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
