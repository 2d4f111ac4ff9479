"""Breaks something on purpose in the stack that docker compose runs, or heals it.

    docker compose run --rm load python3 /order-system/deploy/smoke/faults.py NAME...

Needs FAULTS=on in .env when the stack is started. NAME: payment-declines, slow-gateway, n-plus-one, retry-storm; several
go together, `none` heals all. docs/scenarios tells what each does, and what to look for. Those that are a container
less need no program: `docker compose stop payment-gateway`, `inventory-service` or `otel-collector`.
GATEWAY_URL, INVENTORY_URL, SERVICE_TOKEN_SECRET.
"""

import argparse
import json
import urllib.error
import urllib.request

import shop

GATEWAY, INVENTORY = "payment-gateway", "inventory-service"
# What each asks of whom; what nobody asks for is off.
SCENARIOS = {
    "payment-declines": (GATEWAY, {"decline_one_in": 10}),
    "slow-gateway": (GATEWAY, {"delay_ms": 3000}),
    "n-plus-one": (INVENTORY, {"stock_by_product": True}),
    "retry-storm": (INVENTORY, {"handle_one_in": 3}),
    "none": (GATEWAY, {}),
}


def put(service, url, faults):
    token = shop.service_token(shop.setting("SERVICE_TOKEN_SECRET"), service)
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/internal/faults", json.dumps(faults).encode(), headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=15):
            return f"{service}: {json.dumps(faults) if faults else 'well'}"
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                raise SystemExit(f"{service} was started without FAULTS=on; set it in .env, then `docker compose up -d`")
            raise SystemExit(f"{service}: {error.code} {error.read(300).decode(errors='replace')}")
    except OSError as error:
        raise SystemExit(f"{service} does not answer at {url}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="+", choices=SCENARIOS, help="what to break; `none` heals all")
    names = parser.parse_args().name
    faults = {GATEWAY: {}, INVENTORY: {}}
    for name in names:
        service, wanted = SCENARIOS[name]
        faults[service].update(wanted)
    print(put(GATEWAY, shop.setting("GATEWAY_URL", "http://127.0.0.1:8084"), faults[GATEWAY]))
    print(put(INVENTORY, shop.setting("INVENTORY_URL", "http://127.0.0.1:8082"), faults[INVENTORY]))


if __name__ == "__main__":
    main()
