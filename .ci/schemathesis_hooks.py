"""Gives each operation the token that it asks for; used by .ci/schemathesis."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.request

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


def ask(path: str, body: dict, token: str | None = None) -> dict:
    request = urllib.request.Request(os.environ["USER_URL"] + path, json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def access_token() -> str:
    """Of an admin, who may do all that a person may."""
    email = "schemathesis@example.com"
    account = {"email": email, "password": PASSWORD, "name": "S", "tenant_id": PUBLIC_TENANT, "role": "admin"}
    try:
        ask("/internal/users", account, service_token("user-service"))
    except urllib.error.HTTPError as error:
        if error.code != 409:  # an earlier run's
            raise
    return ask("/api/users/login", {"email": email, "password": PASSWORD})["access_token"]


def scheme(case, context) -> str | None:
    requirements = context.operation.definition.raw.get("security") or [{}]
    return next(iter(requirements[0]), None)


@schemathesis.auth(refresh_interval=30, cache_by_key=scheme)
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
