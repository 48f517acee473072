import json
from decimal import Decimal

import pytest
import typer
from typer.testing import CliRunner

from cli import eval_context

POLICIES = {"auto", "append_only", "sliding_window", "window_with_facts", "summary"}


@pytest.fixture
def app():
    app = typer.Typer()
    eval_context.register(app)
    return app


@pytest.fixture
def data(tmp_path):
    """Two conversations of twelve long turns."""
    turns = [
        {"role": role, "content": f"{role} {turn} " + "word " * 300}
        for turn in range(12)
        for role in ("user", "assistant")
    ]
    path = tmp_path / "talks.jsonl"
    path.write_text((json.dumps({"messages": turns}) + "\n") * 2)
    return path


def test_json_has_money_tokens_and_facts_for_each_model_and_policy(app, data):
    """Dollars as decimal text; `auto` is never dearer than append-only."""
    models = "no-cache,gpt-4o,claude-opus-5-5"
    result = CliRunner().invoke(app, ["--data", str(data), "--models", models, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == {"models", "assumptions"}
    assert list(found["models"]) == models.split(",")
    for policies in found["models"].values():
        assert set(policies) == POLICIES
        assert all(set(each) == {"usd", "input_tokens", "facts_kept"} for each in policies.values())
        assert 0 < Decimal(policies["auto"]["usd"]) <= Decimal(policies["append_only"]["usd"])
        assert 0 <= policies["auto"]["facts_kept"] <= 1
    assert found["assumptions"]["conversations"] == 2


def test_people_get_a_table(app, data):
    """A row for each model and policy."""
    result = CliRunner().invoke(app, ["--data", str(data), "--models", "gpt-4o"])
    assert result.exit_code == 0
    assert all(policy in result.stdout for policy in POLICIES)


@pytest.mark.parametrize(
    ("text", "models", "said"),
    [
        ("{", "gpt-4o", "line 1"),
        ("", "gpt-4o", "no conversation"),
        (None, "nobodys-model", "price"),
    ],
)
def test_what_cannot_be_done_is_told(app, data, text, models, said):
    """Exit code 2 and one sentence."""
    if text is not None:
        data.write_text(text)
    result = CliRunner().invoke(app, ["--data", str(data), "--models", models])
    assert result.exit_code == 2
    assert said in result.stderr
