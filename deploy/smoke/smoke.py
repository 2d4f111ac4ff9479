"""Drives the running stack over its public ports, and follows what it did into every back end.

    python3 deploy/smoke/smoke.py [--without loki,grafana] [--patience 90]

Reads .env for the secret that products are imported with. Each line it prints is a claim that it saw hold; the exit
code is 0 where all of them did, 2 where the services do not answer. The back ends' addresses: COLLECTOR_URL,
JAEGER_URL, PROMETHEUS_URL, LOKI_URL, GRAFANA_URL.
"""

import argparse
import json
import re
import sys
import time
import urllib.parse

import shop
from shop import ask, setting

SERVICES = {"order-service", "user-service", "inventory-service", "payment-service"}
BACK_ENDS = {
    "collector": "http://127.0.0.1:13133",
    "jaeger": "http://127.0.0.1:16686",
    "prometheus": "http://127.0.0.1:9090",
    "loki": "http://127.0.0.1:3100",
    "grafana": "http://127.0.0.1:3000",
}
# What a panel's description says where no data is good news.
MAY_BE_EMPTY = "Empty while all is well."


class Smoke:
    def __init__(self, patience, without):
        self.patience = patience
        self.without = without
        self.failures = 0

    def url(self, name):
        return setting(f"{name.upper()}_URL", BACK_ENDS[name])

    def claim(self, text, look):
        """Looks until `look` answers something true, or the patience is at its end."""
        deadline = time.monotonic() + self.patience
        seen = None
        while True:
            try:
                if seen := look():
                    print(f"ok      {text}" + (f": {seen}" if isinstance(seen, str) else ""), flush=True)
                    return True
            except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
                seen = f"{type(error).__name__}: {error}"
            if time.monotonic() > deadline:
                self.failures += 1
                print(f"FAILED  {text}: {seen or 'not seen'}", flush=True)
                return False
            time.sleep(1)

    # -- the system

    def health(self, at):
        for name, url in (("order", at.order_url), ("user", at.user_url), ("inventory", at.inventory_url)):
            self.claim(f"the {name} service is ready", lambda url=url: ask(f"{url}/ready").status == 200)
        if "collector" not in self.without:
            self.claim("the collector is healthy", lambda: ask(self.url("collector")).status == 200)

    def orders(self, at):
        """Three orders, and the traces they were handled in."""
        good = at.order(at.in_stock)
        self.claim("an order is confirmed", lambda: good.status == 201 and good.json()["status"] == "confirmed")
        sold_out = at.order(at.sold_out)
        self.claim("what is sold out is refused", lambda: sold_out.status == 409 and sold_out.json()["code"])
        declined = at.order(at.in_stock, "card_declined")
        self.claim("a declined card is refused", lambda: declined.status == 402 and declined.json()["code"])
        return good, sold_out, declined

    # -- traces

    def trace(self, trace_id):
        return ask(f"{self.url('jaeger')}/api/traces/{trace_id}").json()["data"][0]

    def traces(self, good, declined):
        def whole():
            trace = self.trace(good.trace_id)
            seen = {process["serviceName"] for process in trace["processes"].values()}
            ids = {span["spanID"] for span in trace["spans"]}
            # A consumer has its producer for a parent and links to it too: Jaeger tells of that as FOLLOWS_FROM alone.
            known = [{ref["spanID"] for ref in span["references"] if ref["traceID"] == good.trace_id} for span in trace["spans"]]
            is_whole = seen == SERVICES and sum(not refs for refs in known) == 1 and ids.issuperset(set().union(*known))
            return f"{len(trace['spans'])} spans of {', '.join(sorted(seen))}" if is_whole else False

        def failed():
            tags = [tag for span in self.trace(declined.trace_id)["spans"] for tag in span["tags"]]
            return any(tag["key"] == "error" and tag["value"] is True for tag in tags)

        self.claim("Jaeger has the confirmed order as one whole trace", whole)
        self.claim("Jaeger has the declined order, with spans that failed", failed)

    # -- metrics

    def query(self, expression):
        text = urllib.parse.urlencode({"query": expression})
        answer = ask(f"{self.url('prometheus')}/api/v1/query?{text}").json()
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]["result"]

    def metrics(self, good):
        def from_services():
            seen = {row["metric"]["job"].split("/")[-1] for row in self.query("http_server_request_duration_seconds_count")}
            return ", ".join(sorted(seen)) if SERVICES <= seen else False

        for text, expression in (
            ("confirmed orders", 'sum(order_orders_total{order_status="confirmed"}) > 0'),
            ("span metrics of all four services", 'count(count by (service_name) (traces_span_metrics_calls_total{service_name=~".*-service"})) >= 4'),
            ("what the collector sent to Jaeger", 'sum({__name__=~"otelcol_exporter_sent_spans(__spans__)?(_total)?"}) > 0'),
        ):
            self.claim(f"Prometheus has {text}", lambda expression=expression: bool(self.query(expression)))
        self.claim("Prometheus has the requests of each service", from_services)

        def targets():
            answer = ask(f"{self.url('prometheus')}/api/v1/targets?state=active").json()["data"]["activeTargets"]
            down = {target["scrapePool"] for target in answer if target["health"] != "up"} - self.without
            return ", ".join(sorted({target["scrapePool"] for target in answer})) if not down else False

        self.claim("Prometheus reaches all that it fetches from", targets)

        def exemplars():
            expression = 'http_server_request_duration_seconds_bucket{http_route="/api/orders"}'
            text = urllib.parse.urlencode({"query": expression, "start": time.time() - 3600, "end": time.time()})
            rows = ask(f"{self.url('prometheus')}/api/v1/query_exemplars?{text}").json()["data"]
            ids = {exemplar["labels"]["trace_id"] for row in rows for exemplar in row["exemplars"]}
            return f"{len(ids)} traces" if ids else False

        self.claim("Prometheus has exemplars, each with its trace", exemplars)

        def rules():
            groups = ask(f"{self.url('prometheus')}/api/v1/rules").json()["data"]["groups"]
            bad = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] not in ("ok", "unknown")]
            return f"{sum(len(group['rules']) for group in groups)} rules" if not bad else False

        self.claim("Prometheus can evaluate every alert rule", rules)

    # -- logs

    def log_query(self, query):
        text = urllib.parse.urlencode({"query": query, "start": int((time.time() - 3600) * 1e9), "limit": 100})
        return ask(f"{self.url('loki')}/loki/api/v1/query_range?{text}").json()["data"]["result"]

    def logs(self, good):
        query = f'{{service_name="order-service"}} | trace_id = `{good.trace_id}`'
        self.claim("Loki has the confirmed order's log records", lambda: bool(self.log_query(query)))

    # -- dashboards

    def dashboards(self):
        files = sorted((shop.ROOT / "deploy/grafana/dashboards").glob("*.json"))
        if "grafana" not in self.without:
            def provisioned():
                found = ask(f"{self.url('grafana')}/api/search?type=dash-db").json()
                return f"{len(found)}" if len(found) >= len(files) else False

            self.claim("Grafana is healthy", lambda: ask(f"{self.url('grafana')}/api/health").status == 200)
            self.claim("Grafana has every dashboard", provisioned)
        for file in files:
            dashboard = json.loads(file.read_text())
            for panel in panels(dashboard):
                if MAY_BE_EMPTY in panel.get("description", ""):
                    continue
                for target in panel.get("targets", []):
                    kind = (target.get("datasource") or panel.get("datasource") or {}).get("type", "prometheus")
                    expression = filled_in(target.get("expr", ""), dashboard)
                    text = f"{file.stem}, {panel.get('title', '?')}, {target.get('refId', '?')}: there is data"
                    if kind == "prometheus" and expression:
                        self.claim(text, lambda expression=expression: bool(self.query(expression)))
                    elif kind == "loki" and expression and "loki" not in self.without:
                        self.claim(text, lambda expression=expression: bool(self.log_query(expression)))


def panels(dashboard):
    """All panels, those in collapsed rows too."""
    for panel in dashboard.get("panels", []):
        yield panel
        yield from panel.get("panels", [])


def filled_in(expression, dashboard):
    """A panel's query as it is with every variable at All."""
    expression = re.sub(r"\$__rate_interval|\$__interval|\$__auto|\$\{__(rate_)?interval\}", "5m", expression)
    expression = re.sub(r"\$__range|\$\{__range\}", "1h", expression)
    for variable in dashboard.get("templating", {}).get("list", []):
        name = re.escape(variable["name"])
        value = variable.get("allValue") or ".*"
        if variable.get("type") in ("constant", "custom", "textbox", "interval"):
            value = (variable.get("current") or {}).get("value") or variable.get("query", "").split(",")[0].strip()
            value = ".*" if value in ("$__all", ["$__all"]) else value
        expression = re.sub(rf"\$\{{{name}(:\w+)?\}}|\${name}\b", lambda _: str(value), expression)
    return expression


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without", default="", help="back ends that do not run, comma-separated: " + ", ".join(BACK_ENDS))
    parser.add_argument("--patience", type=float, default=90, help="seconds to wait for each claim (90)")
    options = parser.parse_args()
    without = set(filter(None, options.without.split(",")))
    if unknown := without - BACK_ENDS.keys():
        parser.error(f"--without: no back end is called {', '.join(sorted(unknown))}")
    smoke = Smoke(options.patience, without)
    try:
        at = shop.Shop()
    except OSError as error:
        parser.exit(2, f"the services do not answer ({error}): are they up? ORDER_URL, USER_URL and INVENTORY_URL say where\n")
    smoke.health(at)
    good, _, declined = smoke.orders(at)
    if "jaeger" not in without:
        smoke.traces(good, declined)
    if "loki" not in without:
        smoke.logs(good)
    if "prometheus" not in without:
        smoke.metrics(good)
        smoke.dashboards()
    print(f"{smoke.failures} failed" if smoke.failures else "all of it holds", flush=True)
    return 1 if smoke.failures else 0


if __name__ == "__main__":
    sys.exit(main())
