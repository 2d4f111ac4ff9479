"""What schemathesis is told besides the OpenAPI documents; used by .ci/schemathesis.

Each operation gets the token that it asks for, where TOKENS is "with", and half of them an id that there is.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
import zlib

import schemathesis

PASSWORD = "correct horse battery staple"
PUBLIC_TENANT = "019a0000-0000-7000-8000-000000000001"


def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def service_token(audience: str, user_id: str = "") -> str:
    """A token as the order service makes it; good for a minute."""
    claims = {"iss": "order-service", "aud": audience, "sub": user_id, "exp": int(time.time()) + 60}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(claims).encode())
    key = os.environ["SERVICE_TOKEN_SECRET"].encode()
    return signed + "." + part(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def ask(url: str, body=None, token: str | None = None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


# The ids of a product, a user, and orders of theirs: one that is paid, one that is cancelled, one that is being cancelled;
# once there is a token.
known: dict[str, str] = {}


def access_token() -> str:
    """Of an admin, who may do all that a person may; a new one each time, since the tests make users inactive."""
    try:
        return set_up()
    except (OSError, LookupError):
        # The tests go on meanwhile, and some of them make the services refuse for a while.
        time.sleep(1)
        return set_up()


def set_up() -> str:
    users = os.environ["USER_URL"]
    email = f"schemathesis-{time.time_ns()}@example.com"
    account = {"email": email, "password": PASSWORD, "name": "S", "tenant_id": PUBLIC_TENANT, "role": "admin"}
    user = ask(users + "/internal/users", account, service_token("user-service"))["id"]
    token = ask(users + "/api/users/login", {"email": email, "password": PASSWORD})["access_token"]
    stock = {"sku": f"S-{time.time_ns()}", "name": "S", "category": "s", "price_minor": 1, "currency": "EUR", "stock": 10**6}
    imported = ask(os.environ["INVENTORY_URL"] + "/internal/products/import", [stock], service_token("inventory-service"))
    product = imported["product_ids"][0]
    orders = os.environ["ORDER_URL"] + "/api/orders"
    order = {"product_id": product, "quantity": 1, "payment_method": "card_ok"}
    paid, kept = (ask(orders, order, token)["order_id"] for _ in range(2))
    be_cancelling(kept)
    cancelled = cancel_one(orders, order, token)
    known.update(user=user, product=product, order=paid, cancelled=cancelled, cancelling=kept)
    return token


def cancel_one(orders: str, order: dict, token: str) -> str:
    """Orders, and cancels it while the gateway takes its time."""
    slow = {**order, "payment_method": "card_slow"}
    placing = threading.Thread(target=refused, args=(orders, slow, token))
    placing.start()
    while not (waiting := [one for one in ask(orders, token=token) if one["status"] in ("pending", "reserved")]):
        if not placing.is_alive():
            raise LookupError("the order came to its end before it was seen")
    cancelled = ask(f"{orders}/{waiting[0]['order_id']}/cancel", {}, token)
    placing.join()
    return cancelled["order_id"]


def refused(url: str, body, token: str) -> None:
    try:
        ask(url, body, token)
    except urllib.error.HTTPError:
        pass  # as it should be: it is cancelled meanwhile


def be_cancelling(order_id: str) -> None:
    """As an order is left whose peers are away, and stays: nobody is to look at it in this century."""
    with sqlite3.connect(os.environ["ORDER_DB"], timeout=10) as database:
        changed = "UPDATE orders SET status = 'cancelling', due_at = '2100-01-01 00:00:00' WHERE id = ?"
        database.execute(changed, (order_id,))


def scheme(case, context) -> str | None:
    requirements = context.operation.definition.raw.get("security") or [{}]
    return next(iter(requirements[0]), None)


class Tokens:
    def get(self, case, context):
        match scheme(case, context):
            case "service_token":
                return service_token(context.operation.schema.raw_schema["info"]["title"])
            case "user_token":
                return access_token()

    def set(self, case, data, context):
        if data:
            case.headers["Authorization"] = "Bearer " + data


if os.environ["TOKENS"] == "with":
    schemathesis.auth(refresh_interval=30, cache_by_key=scheme)(Tokens)


def is_chosen(value) -> bool:
    """Half of the values, the same ones each time."""
    return zlib.crc32(repr(value).encode()) % 2 == 0


THINGS = {"/api/orders": "order", "/api/payments": "order", "/api/products": "product", "/internal/users": "user"}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    thing = next((thing for path, thing in THINGS.items() if context.operation.path.startswith(path)), None)
    if thing in known and context.operation.path.endswith("/cancel"):
        thing = ("order", "cancelled", "cancelling")[zlib.crc32(repr(path_parameters).encode()) // 2 % 3]
    if path_parameters and thing in known and is_chosen(path_parameters):
        return dict.fromkeys(path_parameters, known[thing])
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and isinstance(body.get("product_id"), str) and "product" in known and is_chosen(body):
        return {**body, "product_id": known["product"]}
    return body


# What the test cards `card_slow` and `gateway_error` come to: at the payment service, and at the order service.
CARDS = {"gateway_timeout", "gateway_error", "payment_timeout", "payment_unavailable"}


@schemathesis.check
def no_server_error(context, response, case):
    """A 5xx is a mistake of ours, but where the gateway was told to fail."""
    if response.status_code < 500:
        return
    try:
        code = response.json()["code"]
    except (ValueError, LookupError, TypeError):
        code = None
    assert code in CARDS, f"{response.status_code} {code}"


@schemathesis.serializer("text/csv", "application/x-ndjson")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
