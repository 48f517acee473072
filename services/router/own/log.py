"""An append-only file of what is kept of all tenants, a line an event, rewritten when it is stale.

Lines are JSON. A line cut off by a crash is the last one and is left out. The file holds vectors,
ids and numbers: no text, no key.
"""

import base64
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from services.router.own.policy_curve import Applied
from services.router.own.tenant import Made, Source, Tenant, Told, Used

REWRITE_LINES_MIN = 50_000
TENANTS_MAX = 10_000


def decision_line(tenant: str, request_id: str, vector: Any, made: Made) -> str:
    """A decision as a line."""
    packed = base64.b64encode(np.asarray(vector, dtype=np.float16).tobytes()).decode()
    line = {"t": tenant, "r": request_id, "v": packed, "p": dict(made.odds)}
    if made.feature:
        line["f"] = made.feature
    return json.dumps(line) + "\n"


def outcome_line(tenant: str, told: Told) -> str:
    """An outcome as a line."""
    used = told.used
    return (
        json.dumps(
            {
                "t": tenant,
                "r": told.request_id,
                "m": told.model,
                "s": told.source.value,
                "at": told.seconds,
                "score": told.score,
                "used": None
                if used is None
                else [
                    used.input_tokens,
                    used.cached_input_tokens,
                    used.output_tokens,
                    used.spent_nanos,
                    used.baseline_nanos,
                ],
            }
        )
        + "\n"
    )


def applied_line(tenant: str, applied: Applied) -> str:
    """A bound that holds from now on as a line."""
    bound = [applied.version, applied.quality_percent_min, applied.seconds]
    return json.dumps({"t": tenant, "bound": bound}) + "\n"


class OutcomeLog:
    """The file. All methods do IO: call them from a worker, one at a time. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0

    def load(self) -> dict[str, Tenant]:
        """Every tenant's memory; rewrites the file when most of its lines are stale."""
        tenants: dict[str, Tenant] = {}
        for line in self._read():
            _apply(tenants, line)
        live = sum(len(t.vectors) + len(t.outcomes) for t in tenants.values())
        if self._lines > max(REWRITE_LINES_MIN, 2 * live):
            self._rewrite(_all_lines(tenants))
        return tenants

    def append(self, lines: Iterable[str]) -> None:
        """Adds lines; they are on the disk when it returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole, cut, rest = content.rpartition(b"\n")
        if rest:
            # The last line was cut off: what follows must begin on a line of its own.
            os.truncate(self._path, len(whole) + len(cut))
        for line in whole.splitlines():
            self._lines += 1
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def _rewrite(self, lines: Iterable[str]) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)


def _apply(tenants: dict[str, Tenant], line: dict[str, Any]) -> None:
    name = line["t"]
    if name not in tenants and len(tenants) >= TENANTS_MAX:
        return
    tenant = tenants.setdefault(name, Tenant())
    if "bound" in line:
        tenant.applied = Applied(*line["bound"])
        return
    if "v" in line:
        vector = np.frombuffer(base64.b64decode(line["v"]), dtype=np.float16)
        made = Made(line.get("f", ""), line.get("p", {}))
        tenant.decided(line["r"], vector.astype(np.float32), made)
        return
    used = None if line["used"] is None else Used(*line["used"])
    told = Told(line["r"], line["m"], Source(line["s"]), line["at"], line["score"], used)
    tenant.keep(told)


def _all_lines(tenants: dict[str, Tenant]) -> Iterator[str]:
    for name, tenant in tenants.items():
        if tenant.applied is not None:
            yield applied_line(name, tenant.applied)
        for request_id, vector in tenant.vectors.items():
            yield decision_line(name, request_id, vector, tenant.made.get(request_id, Made()))
        for told in tenant.outcomes.values():
            yield outcome_line(name, told)
