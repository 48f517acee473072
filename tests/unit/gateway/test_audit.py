"""The audit log: lines in a file that is turned over, never one that waits for the disk."""

import json

from gateway.audit import Audit, FileSink


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_lines_are_written_and_files_turned_over(tmp_path):
    """One JSON object a line, readable by its owner only; as many full files as are kept."""
    path = tmp_path / "logs" / "audit.jsonl"
    audit = Audit(FileSink(path, bytes_max=2_000, files_max=2))
    for number in range(60):
        audit.did("ledger.CreateKey", "OK", tenant="acme", caller="root", target=f"k{number}")
    audit.refused("TOKEN_EXPIRED", "abc123")
    await audit.close()
    last = lines_of(path)[-1]
    assert (last["what"], last["outcome"], last["credential"]) == (
        "authenticate", "TOKEN_EXPIRED", "abc123",
    )  # fmt: skip
    assert last["time"].endswith("Z")
    assert path.stat().st_mode & 0o077 == 0
    kept = sorted(each.name for each in path.parent.iterdir())
    assert kept == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(each.stat().st_size <= 2_000 for each in path.parent.iterdir())
