"""Makes the Grafana dashboards beside this file: python k8s/dashboards/build.py

What stands here is what a panel asks; the JSON around it is the same for all of them.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NANOS = 1e9
RATE = "[$__rate_interval]"

# Title, kind, unit, (legend, query)...
Panel = tuple[str, str, str, list[tuple[str, str]]]


def per(metric: str, *labels: str) -> str:
    """Increase of a counter a second, summed over pods."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({metric}{RATE}))"


def quantile(share: float, histogram: str, *labels: str) -> str:
    """A quantile of a histogram over all pods, in its own unit."""
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket{RATE})))"


def dollars(metric: str, *labels: str) -> str:
    """Dollars an hour of a counter of nano-USD."""
    return f"{per(metric, *labels)} * 3600 / {NANOS:.0f}"


TENANT, FEATURE, MODEL = "spendgate_tenant", "spendgate_feature", "gen_ai_response_model"
COST, SAVED = "spendgate_cost_nano_usd_total", "spendgate_saved_nano_usd_total"
REQUESTS = "spendgate_requests_total"
FREE = '{spendgate_answer_source=~"cache_.*|shared"}'
DURATION = "spendgate_request_duration_seconds"

DASHBOARDS: dict[str, tuple[str, list[Panel]]] = {
    "money": (
        "Spendgate: money",
        [
            ("Charged, dollars an hour", "stat", "currencyUSD", [("charged", dollars(COST))]),
            ("Saved, dollars an hour", "stat", "currencyUSD", [("saved", dollars(SAVED))]),
            (
                "Share of the bill saved",
                "stat",
                "percentunit",
                [("saved", f"{per(SAVED)} / ({per(SAVED)} + {per(COST)})")],
            ),
            (
                "Charged by feature",
                "timeseries",
                "currencyUSD",
                [("{{spendgate_feature}}", dollars(COST, FEATURE))],
            ),
            (
                "Charged by model",
                "timeseries",
                "currencyUSD",
                [("{{gen_ai_response_model}}", dollars(COST, MODEL))],
            ),
            (
                "Charged by tenant",
                "timeseries",
                "currencyUSD",
                [("{{spendgate_tenant}}", dollars(COST, TENANT))],
            ),
            (
                "Saved by cause",
                "timeseries",
                "currencyUSD",
                [("{{spendgate_saving_cause}}", dollars(SAVED, "spendgate_saving_cause"))],
            ),
            (
                "Set aside for requests under way",
                "timeseries",
                "currencyUSD",
                [("held", "sum(spendgate_holds_nano_usd) / 1e9")],
            ),
            (
                "Share of a budget used",
                "bargauge",
                "percentunit",
                [
                    (
                        "{{spendgate_tenant}} {{spendgate_budget_id}}",
                        f"max by ({TENANT}, spendgate_budget_id) (spendgate_budget_used)",
                    )
                ],
            ),
            (
                "Tokens a second by bucket",
                "timeseries",
                "short",
                [("{{gen_ai_token_type}}", per("spendgate_tokens_total", "gen_ai_token_type"))],
            ),
        ],
    ),
    "fleet": (
        "Spendgate: fleet",
        [
            (
                "Requests a second",
                "timeseries",
                "reqps",
                [("{{spendgate_answer_source}}", per(REQUESTS, "spendgate_answer_source"))],
            ),
            (
                "Not answered a second",
                "timeseries",
                "reqps",
                [("{{error_type}}", per("spendgate_requests_failed_total", "error_type"))],
            ),
            (
                "Under way",
                "timeseries",
                "short",
                [("requests", "sum(spendgate_requests_in_flight)")],
            ),
            (
                "Waiting for a batch",
                "timeseries",
                "short",
                [("{{spendgate_hop}}", "sum by (spendgate_hop) (spendgate_hop_waiting)")],
            ),
            (
                "Latency",
                "timeseries",
                "s",
                [(f"p{int(q * 100)}", quantile(q, DURATION)) for q in (0.5, 0.95, 0.99)],
            ),
            (
                "Time to first token, p95",
                "timeseries",
                "s",
                [
                    (
                        "{{gen_ai_response_model}}",
                        quantile(0.95, "spendgate_request_time_to_first_token_seconds", MODEL),
                    )
                ],
            ),
            (
                "Calls inside the fleet, p99",
                "timeseries",
                "s",
                [
                    (
                        "{{rpc_method}}",
                        quantile(0.99, "rpc_server_call_duration_seconds", "rpc_method"),
                    )
                ],
            ),
            (
                "Event loop late, p99",
                "timeseries",
                "s",
                [("{{job}}", quantile(0.99, "spendgate_loop_lag_seconds", "job"))],
            ),
            (
                "Memory",
                "timeseries",
                "bytes",
                [("{{job}}", "max by (job) (process_resident_memory_bytes)")],
            ),
            (
                "CPU",
                "timeseries",
                "short",
                [("{{job}}", f"sum by (job) (rate(process_cpu_seconds_total{RATE}))")],
            ),
            (
                "Bookings that wait",
                "timeseries",
                "short",
                [("waiting", "sum(spendgate_outbox_waiting)")],
            ),
            (
                "Spans waiting to be sent",
                "timeseries",
                "short",
                [("{{job}}", "sum by (job) (otel_sdk_processor_span_queue_size)")],
            ),
        ],
    ),
    "cache": (
        "Spendgate: cache",
        [
            (
                "Share of requests answered from the cache",
                "stat",
                "percentunit",
                [
                    (
                        "hits",
                        f"{per(REQUESTS + FREE)} / {per(REQUESTS)}",
                    )
                ],
            ),
            (
                "Look-ups by outcome",
                "timeseries",
                "ops",
                [
                    (
                        "{{spendgate_cache_outcome}}",
                        per("spendgate_cache_lookups_total", "spendgate_cache_outcome"),
                    )
                ],
            ),
            (
                "Reports on hits by verdict",
                "timeseries",
                "ops",
                [
                    (
                        "{{spendgate_verdict}}",
                        per("spendgate_cache_hit_reports_total", "spendgate_verdict"),
                    )
                ],
            ),
            (
                "Answers offered by outcome",
                "timeseries",
                "ops",
                [
                    (
                        "{{spendgate_cache_outcome}}",
                        per("spendgate_cache_stores_total", "spendgate_cache_outcome"),
                    )
                ],
            ),
            (
                "Saved by the cache, dollars an hour",
                "timeseries",
                "currencyUSD",
                [
                    (
                        "{{spendgate_feature}}",
                        dollars(SAVED + '{spendgate_saving_cause="cache"}', FEATURE),
                    )
                ],
            ),
            (
                "Latency of answers from the cache",
                "timeseries",
                "s",
                [
                    (
                        f"p{int(q * 100)}",
                        f"histogram_quantile({q}, sum by (le) (rate({DURATION}_bucket"
                        f'{{spendgate_answer_source=~"cache_.*"}}{RATE})))',
                    )
                    for q in (0.5, 0.99)
                ],
            ),
        ],
    ),
    "router": (
        "Spendgate: router",
        [
            (
                "Routed a second by outcome",
                "timeseries",
                "reqps",
                [
                    (
                        "{{spendgate_route_reason}}",
                        per("spendgate_router_routes_total", "spendgate_route_reason"),
                    )
                ],
            ),
            (
                "Answers by model",
                "timeseries",
                "reqps",
                [("{{gen_ai_response_model}}", per(REQUESTS, MODEL))],
            ),
            (
                "Saved by routing, dollars an hour",
                "timeseries",
                "currencyUSD",
                [
                    (
                        "{{spendgate_feature}}",
                        dollars(SAVED + '{spendgate_saving_cause="routing"}', FEATURE),
                    )
                ],
            ),
            (
                "Dollars per 1,000 answers by model",
                "timeseries",
                "currencyUSD",
                [
                    (
                        "{{gen_ai_response_model}}",
                        f"{per(COST, MODEL)} / {per(REQUESTS, MODEL)} * 1000 / {NANOS:.0f}",
                    )
                ],
            ),
        ],
    ),
}


def dashboard(uid: str, title: str, panels: list[Panel]) -> dict[str, Any]:
    """A dashboard as Grafana imports it: three panels a row."""
    return {
        "uid": f"spendgate-{uid}",
        "title": title,
        "tags": ["spendgate"],
        "schemaVersion": 41,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, *each) for number, each in enumerate(panels)],
    }


def _panel(
    number: int, title: str, kind: str, unit: str, queries: list[tuple[str, str]]
) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "title": title,
        "type": kind,
        "datasource": source,
        "gridPos": {"h": 8, "w": 8, "x": number % 3 * 8, "y": number // 3 * 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": source,
                "expr": query,
                "legendFormat": legend,
            }
            for n, (legend, query) in enumerate(queries)
        ],
    }


def main() -> None:
    """Writes one file a dashboard."""
    for uid, (title, panels) in DASHBOARDS.items():
        text = json.dumps(dashboard(uid, title, panels), indent=2) + "\n"
        (HERE / f"{uid}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
