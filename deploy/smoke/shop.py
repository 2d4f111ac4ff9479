"""A customer of the running order system, over its public ports, with Python's standard library alone."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import time
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLENTY = 1_000_000
PRODUCTS = [
    # name, category, price in cents, stock
    ("Espresso machine", "kitchen", 24_900, PLENTY),
    ("Coffee beans, 1 kg", "grocery", 1_850, PLENTY),
    ("Barista's first edition", "books", 9_900, 0),
]


def setting(name, default=None):
    """A variable of the environment, or of the .env that docker compose reads."""
    if name in os.environ:
        return os.environ[name]
    file = ROOT / ".env"
    if file.is_file():
        for line in file.read_text().splitlines():
            if line.startswith(name + "="):
                return line.removeprefix(name + "=")
    if default is None:
        raise SystemExit(f"{name} is set neither in the environment nor in .env")
    return default


class Answer:
    """A response, whatever its status."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def trace_id(self):
        """The trace that the request was handled in."""
        return (self.headers.get("traceresponse") or "--").split("-")[1]

    def __str__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


def ask(url, body=None, token=None, timeout=15):
    """Sends JSON with POST, or asks with GET. Raises OSError only where there is no answer at all."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def service_token(secret, audience):
    """What a service shows another: a JWT under the secret that all of them share, good for a minute."""
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    claims = {"iss": "smoke", "aud": audience, "sub": "", "exp": int(time.time()) + 60}
    text = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()


class Shop:
    """Products and a user of their own, made through the services' API."""

    def __init__(self):
        self.order_url = setting("ORDER_URL", "http://127.0.0.1:8080")
        self.user_url = setting("USER_URL", "http://127.0.0.1:8081")
        self.inventory_url = setting("INVENTORY_URL", "http://127.0.0.1:8082")
        run = uuid.uuid4().hex
        self.login = {"email": f"{run}@example.com", "password": uuid.uuid4().hex}
        self._expect(201, f"{self.user_url}/api/users/register", {**self.login, "name": "Smoke"})
        self.sign_in()
        token = service_token(setting("SERVICE_TOKEN_SECRET"), "inventory-service")
        rows = [
            {"sku": f"{run}-{index}", "name": name, "category": category, "price_minor": price,
             "currency": "EUR", "stock": stock}
            for index, (name, category, price, stock) in enumerate(PRODUCTS)
        ]
        imported = self._expect(201, f"{self.inventory_url}/internal/products/import", rows, token)
        self.in_stock, self.beans, self.sold_out = imported["product_ids"]

    def sign_in(self):
        """A fresh access token; one lives half an hour."""
        self.access_token = self._expect(200, f"{self.user_url}/api/users/login", self.login)["access_token"]

    def order(self, product, payment_method="card_ok"):
        """Orders one piece."""
        order = {"product_id": product, "quantity": 1, "payment_method": payment_method, "order_type": "standard"}
        return ask(f"{self.order_url}/api/orders", order, self.access_token)

    def find_order(self, order_id):
        return ask(f"{self.order_url}/api/orders/{order_id}", token=self.access_token)

    @staticmethod
    def _expect(status, url, body, token=None):
        answer = ask(url, body, token)
        if answer.status != status:
            raise SystemExit(f"{url}: {answer}")
        return answer.json()
