"""Places orders at a steady rate for as long as it runs; some of them fail, as some do.

LOAD_ORDERS_PER_SECOND (5), ORDER_URL, USER_URL, INVENTORY_URL, SERVICE_TOKEN_SECRET. Ends on SIGTERM or SIGINT.
"""

import collections
import concurrent.futures
import random
import signal
import threading
import time

import shop

# Orders that wait for an answer. When as many wait, the next is left out rather than piled up, and counted.
MOST_IN_FLIGHT = 16
SIGN_IN_AGAIN_SECONDS = 600
TELL_SECONDS = 10


def place(at, counts, lock):
    kind = random.random()
    if kind < 0.04:
        product, method = at.sold_out, "card_ok"
    elif kind < 0.09:
        product, method = at.in_stock, "card_declined"
    else:
        product, method = random.choice([at.in_stock, at.beans]), "card_ok"
    try:
        outcome = at.order(product, method).status
    except OSError:
        outcome = "no answer"
    with lock:
        counts[outcome] += 1


def main():
    rate = float(shop.setting("LOAD_ORDERS_PER_SECOND", "5"))
    if not 0 < rate <= 200:
        raise SystemExit("LOAD_ORDERS_PER_SECOND: expected a number above 0, 200 at most")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    at = shop.Shop()
    print(f"placing {rate:g} orders a second", flush=True)
    counts, lock = collections.Counter(), threading.Lock()
    free = threading.Semaphore(MOST_IN_FLIGHT)
    signed_in = told = due = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(MOST_IN_FLIGHT) as pool:
        while not stop.wait(max(0, due - time.monotonic())):
            # An interval that was missed is not made up for.
            due = max(due + 1 / rate, time.monotonic() - 1)
            if free.acquire(blocking=False):
                pool.submit(place, at, counts, lock).add_done_callback(lambda _: free.release())
            else:
                counts["left out"] += 1
            if time.monotonic() - signed_in > SIGN_IN_AGAIN_SECONDS:
                signed_in = time.monotonic()
                try:
                    at.sign_in()
                except (OSError, SystemExit) as error:
                    print(f"cannot sign in: {error}", flush=True)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                with lock:
                    print(", ".join(f"{outcome}: {count}" for outcome, count in sorted(counts.items(), key=str)), flush=True)
                    counts.clear()


if __name__ == "__main__":
    main()
