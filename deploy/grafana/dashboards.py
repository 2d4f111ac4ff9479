#!/usr/bin/env python3
"""The dashboards, as code: writes dashboards/*.json. `--check` says whether they are what this file makes.

Prometheus has OpenTelemetry's metrics under the names of the specification's Prometheus mapping, whichever way they
came (collector, or Prometheus' own OTLP endpoint): `job` is service.namespace/service.name, `instance` is
service.instance.id, dots are underscores, units and `_total` are suffixes.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
JOB = 'job=~"$job"'
ROUTE = f'{JOB}, http_route=~"$route"'
SERVED = "http_server_request_duration_seconds"
CALLED = "http_client_request_duration_seconds"
QUERIED = "db_client_operation_duration_seconds"


# What the smoke test goes by: these have no series until something fails.
QUIET = "Empty while all is well."


def collector(metric):
    """A metric of the collector's own: with or without unit and `_total`, as its version and its reader have it."""
    return f'{{__name__=~"otelcol_{metric}(_seconds|_bytes)?(_total)?"}}'


def rate(metric, labels="", by="job", of="rate"):
    """Of a counter, per second, summed over everything but the labels `by`."""
    return f"sum by ({by}) ({of}({metric}{{{labels}}}[$__rate_interval]))"


def share(bad, all_):
    """Of `bad` in `all_`, 0 where nothing is bad."""
    return f"({bad} or 0 * {all_}) / {all_}"


def quantile(q, histogram, labels="", by="job"):
    return f"histogram_quantile({q}, {rate(histogram + '_bucket', labels, f'{by}, le')})"


def graph(title, targets, unit="short", description="", width=8, exemplars=False, stack=False):
    """A time series; `targets` are (expression, legend)."""
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": PROMETHEUS,
        "width": width,
        "targets": [
            {"refId": chr(65 + i), "expr": expression, "legendFormat": legend, "exemplar": exemplars, "datasource": PROMETHEUS}
            for i, (expression, legend) in enumerate(targets)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if stack else "none"}},
            },
            "overrides": [],
        },
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}},
    }


def stat(title, expression, unit="short", description="", width=4, red_from=None, red_below=None):
    """One number, red from or below a bound."""
    steps = [{"color": "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    if red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": red_below}]
    return {
        "type": "stat",
        "title": title,
        "description": description,
        "datasource": PROMETHEUS,
        "width": width,
        "targets": [{"refId": "A", "expr": expression, "datasource": PROMETHEUS}],
        "fieldConfig": {
            "defaults": {"unit": unit, "noValue": "0", "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
    }


def table(title, targets, unit="short", description="", width=12):
    """The latest values; `targets` are (expression, column)."""
    return {
        "type": "table",
        "title": title,
        "description": description,
        "datasource": PROMETHEUS,
        "width": width,
        "targets": [
            {"refId": chr(65 + i), "expr": e, "format": "table", "instant": True, "datasource": PROMETHEUS}
            for i, (e, _) in enumerate(targets)
        ],
        "fieldConfig": {"defaults": {"unit": unit, "decimals": 2}, "overrides": []},
        "options": {"showHeader": True},
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "renameByName": {f"Value #{chr(65 + i)}": column for i, (_, column) in enumerate(targets)},
                },
            },
        ],
    }


def variable(name, label, query):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


SERVICE = variable("job", "service", f"label_values({SERVED}_count, job)")


def dashboard(uid, title, rows, variables=(SERVICE,)):
    """Lays panels out in rows of 24 columns; `rows` are (title, panels)."""
    panels, y, number = [], 0, 0
    for row, members in rows:
        number += 1
        panels.append({"type": "row", "id": number, "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        x, height = 0, 0
        for panel in members:
            panel = dict(panel)
            width, tall = panel.pop("width"), 4 if panel["type"] == "stat" else 8
            if x + width > 24:
                x, y, height = 0, y + height, 0
            number += 1
            panels.append({**panel, "id": number, "gridPos": {"x": x, "y": y, "w": width, "h": tall}})
            x, height = x + width, max(height, tall)
        y += height
    return {
        "uid": uid,
        "title": title,
        "tags": ["order-system"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": list(variables)},
        "links": [{"type": "dashboards", "title": "Order system", "tags": ["order-system"], "asDropdown": True, "keepTime": True}],
        "panels": panels,
    }


def services():
    failed = rate(SERVED + "_count", ROUTE + ', http_response_status_code=~"5.."')
    all_ = rate(SERVED + "_count", ROUTE)
    called_failed = rate(CALLED + "_count", JOB + ', error_type!=""', "job, server_address, url_template, error_type")
    return dashboard("services", "Services: rate, errors, duration", [
        ("Now", [
            stat("Requests a second", f"sum({all_})", "reqps", width=6),
            stat("Answered 5xx", share(f"sum({failed})", f"sum({all_})"), "percentunit", red_from=0.01, width=6),
            stat("95 % are quicker than", f"histogram_quantile(0.95, {rate(SERVED + '_bucket', ROUTE, 'le')})", "s", red_from=1, width=6),
            stat("In flight", f"sum(http_server_active_requests{{{JOB}}})", width=6),
        ]),
        ("Per service", [
            graph("Requests", [(all_, "{{job}}")], "reqps"),
            graph("Share that is answered 5xx", [(share(failed, all_), "{{job}}")], "percentunit"),
            graph("Duration, 95 %", [(quantile(0.95, SERVED, ROUTE), "{{job}}")], "s", exemplars=True,
                  description="A dot is one request: it leads to its trace."),
        ]),
        ("Per route", [
            graph("Requests", [(rate(SERVED + "_count", ROUTE, "job, http_request_method, http_route"),
                                "{{http_request_method}} {{http_route}}")], "reqps"),
            graph("Answers that are no success", [(
                rate(SERVED + "_count", ROUTE + ', http_response_status_code=~"[45].."',
                     "http_route, http_response_status_code, error_type"),
                "{{http_response_status_code}} {{error_type}} {{http_route}}")], "reqps", QUIET),
            graph("Duration, 99 %", [(quantile(0.99, SERVED, ROUTE, "job, http_request_method, http_route"),
                                      "{{http_request_method}} {{http_route}}")], "s", exemplars=True),
            table("Routes", [
                (rate(SERVED + "_count", ROUTE, "job, http_request_method, http_route"), "a second"),
                (quantile(0.5, SERVED, ROUTE, "job, http_request_method, http_route"), "50 %, s"),
                (quantile(0.95, SERVED, ROUTE, "job, http_request_method, http_route"), "95 %, s"),
            ], width=24),
        ]),
        ("Calls to others", [
            graph("Calls", [(rate(CALLED + "_count", JOB, "job, server_address, url_template"),
                             "{{job}} → {{server_address}} {{url_template}}")], "reqps"),
            graph("Calls that fail", [(called_failed, "{{error_type}} {{job}} → {{server_address}} {{url_template}}")], "reqps", QUIET),
            graph("Duration, 95 %", [(quantile(0.95, CALLED, JOB, "job, server_address, url_template"),
                                      "{{job}} → {{server_address}} {{url_template}}")], "s", exemplars=True),
        ]),
    ], [SERVICE, variable("route", "route", f"label_values({SERVED}_count{{{JOB}}}, http_route)")])


def orders():
    placed = 'http_route="/api/orders", http_request_method="POST"'
    ended = rate("order_orders_total", "", "order_status")
    return dashboard("orders", "Orders: the funnel", [
        ("Now", [
            stat("Placed a minute", f"60 * sum({rate(SERVED + '_count', placed)})", width=6),
            stat("Confirmed a minute", '60 * sum(rate(order_orders_total{order_status="confirmed"}[$__rate_interval]))', width=6),
            stat("Confirmed, of all that ended",
                 'sum(rate(order_orders_total{order_status="confirmed"}[$__rate_interval])) / sum(rate(order_orders_total[$__rate_interval]))',
                 "percentunit", red_below=0.5, width=6),
            stat("95 % are answered within",
                 f"histogram_quantile(0.95, {rate(SERVED + '_bucket', placed, 'le')})", "s", red_from=2, width=6),
        ]),
        ("The funnel", [
            graph("Steps an order takes", [
                (f"sum({rate(SERVED + '_count', placed)})", "1 placed"),
                ('sum(rate(inventory_reservations_total{inventory_outcome="reserved"}[$__rate_interval]))', "2 reserved"),
                ('sum(rate(payment_charges_total{payment_outcome="captured"}[$__rate_interval]))', "3 paid"),
                ('sum(rate(order_orders_total{order_status="confirmed"}[$__rate_interval]))', "4 confirmed"),
            ], "reqps", width=12),
            graph("Failed, by reason", [(rate("order_orders_total", 'order_status="failed"', "error_type"), "{{error_type}}")],
                  "reqps", QUIET, width=12, stack=True),
        ]),
        ("The steps", [
            graph("How orders end", [(ended, "{{order_status}}")], "reqps", stack=True),
            graph("Reservations", [(rate("inventory_reservations_total", "", "inventory_outcome"), "{{inventory_outcome}}")], "reqps"),
            graph("Charges", [(rate("payment_charges_total", "", "payment_method, payment_outcome"),
                               "{{payment_outcome}} {{payment_method}}")], "reqps"),
            graph("Money given back", [(f"sum({rate('payment_refunds_total')})", "refunds"),
                                       (rate("payment_voids_total", "", "payment_outcome"), "voids {{payment_outcome}}")], "reqps", QUIET),
            graph("Orders that a crash or an outage left, taken up again", [
                (rate("order_recoveries_total", "", "order_recovery_outcome"), "{{order_recovery_outcome}}")], "reqps", QUIET),
            graph("Processor time that an order costs", [(
                "sum by (job) (rate(process_cpu_time_seconds_total[$__rate_interval]))"
                " / scalar(sum(rate(order_orders_total[$__rate_interval])))", "{{job}}")], "s"),
            graph("Duration of an order", [
                (f"histogram_quantile({q}, {rate(SERVED + '_bucket', placed, 'le')})", f"{q * 100:g} %") for q in (0.5, 0.95, 0.99)
            ], "s", exemplars=True),
        ]),
    ], [])


def database():
    by = "job, db_query_summary"
    pool = "job, db_client_connection_pool_name"
    return dashboard("database", "Database and pools", [
        ("Statements", [
            graph("Statements", [(rate(QUERIED + "_count", JOB, by), "{{job}} {{db_query_summary}}")], "ops"),
            graph("Duration, 95 %", [(quantile(0.95, QUERIED, JOB, by), "{{job}} {{db_query_summary}}")], "s", exemplars=True),
            graph("Failures", [(rate(QUERIED + "_count", JOB + ', error_type!=""', by + ", error_type"),
                                "{{error_type}} {{db_query_summary}}")], "ops", QUIET),
            table("Where the time goes", [
                (f"topk(20, {rate(QUERIED + '_sum', JOB, by)})", "seconds a second"),
                (rate(QUERIED + "_count", JOB, by), "a second"),
            ], width=24, description="Seconds of statements in a second: what to make quicker first."),
        ]),
        ("Pools", [
            graph("Connections", [
                (f"sum by ({pool}, db_client_connection_state) (db_client_connection_count{{{JOB}}})",
                 "{{job}} {{db_client_connection_pool_name}} {{db_client_connection_state}}")]),
            graph("Share in use", [(
                f'sum by ({pool}) (db_client_connection_count{{{JOB}, db_client_connection_state="used"}})'
                f" / sum by ({pool}) (db_client_connection_max{{{JOB}}})",
                "{{job}} {{db_client_connection_pool_name}}")], "percentunit"),
            graph("Waiting for a connection", [(f"sum by ({pool}) (db_client_connection_pending_requests{{{JOB}}})",
                                                "{{job}} {{db_client_connection_pool_name}}")]),
            graph("Wait, 95 %", [(quantile(0.95, "db_client_connection_wait_time_seconds", JOB, pool),
                                  "{{job}} {{db_client_connection_pool_name}}")], "s"),
            graph("Use, 95 %", [(quantile(0.95, "db_client_connection_use_time_seconds", JOB, pool),
                                 "{{job}} {{db_client_connection_pool_name}}")], "s"),
            graph("Waited in vain", [(rate("db_client_connection_timeouts_total", JOB, pool),
                                      "{{job}} {{db_client_connection_pool_name}}")], "ops", QUIET),
        ]),
    ])


def runtime():
    return dashboard("runtime", "Runtime and processes", [
        ("Process", [
            graph("Processor, cores", [(rate("process_cpu_time_seconds_total", JOB, "job, instance"), "{{job}} {{instance}}")]),
            graph("Memory", [(f"process_memory_usage_bytes{{{JOB}}}", "{{job}} {{instance}}")], "bytes"),
            graph("Open files", [(f"process_unix_file_descriptor_count{{{JOB}}}", "{{job}} {{instance}}")]),
            graph("Threads", [(f"process_thread_count{{{JOB}}}", "{{job}} {{instance}}")]),
            graph("Context switches", [(rate("process_context_switches_total", JOB, "job"), "{{job}}")], "ops"),
            graph("Up since", [(f"process_uptime_seconds{{{JOB}}}", "{{job}} {{instance}}")], "s"),
        ]),
        ("tokio", [
            graph("Workers that are busy", [(
                f"sum by (job) (rate(tokio_worker_busy_duration_milliseconds_total{{{JOB}}}[$__rate_interval])) / 1000"
                f" / sum by (job) (tokio_workers{{{JOB}}})", "{{job}}")], "percentunit"),
            graph("Tasks", [(f"sum by (job) (tokio_alive_tasks{{{JOB}}})", "{{job}}")]),
            graph("Tasks that wait", [(f"sum by (job) (tokio_global_queue_depth{{{JOB}}})", "{{job}}")]),
        ]),
    ])


def export():
    lost = rate("otel_sdk_processor_span_processed_total", JOB + ', error_type!=""', "job, error_type")
    failed = rate("otel_sdk_exporter_span_exported_total", JOB + ', error_type!=""', "job, error_type")
    return dashboard("export", "Export health", [
        ("Services", [
            graph("Spans exported", [(rate("otel_sdk_exporter_span_exported_total", JOB + ', error_type=""'), "{{job}}")], "ops"),
            graph("Spans that failed", [(failed, "{{error_type}} {{job}}")], "ops",
                  description=f"Sent, and refused or lost on the way; by reason. {QUIET}"),
            graph("Spans dropped", [(lost, "{{error_type}} {{job}}")], "ops", description=f"Never sent: the queue was full. {QUIET}"),
            graph("Queue, share in use", [(
                f"sum by (job) (otel_sdk_processor_span_queue_size{{{JOB}}})"
                f" / sum by (job) (otel_sdk_processor_span_queue_capacity{{{JOB}}})", "{{job}}")], "percentunit"),
            graph("Log records exported", [
                (rate("otel_sdk_exporter_log_exported_total", JOB, "job, error_type"), "{{job}} {{error_type}}"),
            ], "ops"),
            graph("Export, 95 %", [(quantile(0.95, "otel_sdk_exporter_operation_duration_seconds", JOB, "job, otel_component_type"),
                                    "{{job}} {{otel_component_type}}")], "s"),
        ]),
        ("Collector", [
            graph("Spans in and out", [
                (f"sum(rate({collector('receiver_accepted_spans')}[$__rate_interval]))", "received"),
                (f"sum by (exporter) (rate({collector('exporter_sent_spans')}[$__rate_interval]))", "sent {{exporter}}"),
            ], "ops"),
            graph("Refused and failed", [
                (f"sum by (receiver) (rate({collector('receiver_refused_spans')}[$__rate_interval]))", "refused {{receiver}}"),
                (f"sum by (exporter) (rate({collector('exporter_send_failed_spans')}[$__rate_interval]))", "failed {{exporter}}"),
                (f"sum by (exporter) (rate({collector('exporter_enqueue_failed_spans')}[$__rate_interval]))", "no room {{exporter}}"),
            ], "ops", QUIET),
            graph("Queues, share in use", [(
                "max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                "{{exporter}} {{data_type}}")], "percentunit"),
            graph("Traces that wait for a decision", [("sum(otelcol_processor_tail_sampling_sampling_traces_on_memory)", "traces")]),
            graph("Memory", [(collector("process_memory_rss"), "{{instance}}")], "bytes"),
            graph("Processor, cores", [(f"rate({collector('process_cpu')}[$__rate_interval])", "{{instance}}")]),
        ]),
    ])


def main():
    stale = []
    for make in (services, orders, database, runtime, export):
        path = HERE / "dashboards" / f"{make.__name__}.json"
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"not what dashboards.py makes: {', '.join(stale)}; run it without --check")


if __name__ == "__main__":
    main()
