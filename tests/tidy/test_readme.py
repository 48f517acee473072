"""What the README shows is true of the code beside it."""

import re
from pathlib import Path

from typer.testing import CliRunner

from catalog.config import parse_config
from catalog.fleet import Fleet
from cli.main import build

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_fleet_file_shown_can_be_used():
    """Copied as it stands it is valid, and each of its models has a price."""
    (text,) = _blocks("yaml")
    fleet = Fleet.of(parse_config(text, "README"))
    assert all(fleet.book.facts[name] or model.price for name, model in fleet.config.models.items())


def test_the_programs_shown_compile():
    """They are run by hand against a fleet; that they are Python is checked here."""
    blocks = _blocks("python")
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "README", "exec")


def test_the_targets_and_commands_named_exist():
    """A reader who types what it says gets what it says."""
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    runner = CliRunner()
    shown = r"^spendgate ([a-z]+(?: (?:create|check|schema))?)"
    for command in set(re.findall(shown, README, re.MULTILINE)):
        result = runner.invoke(build(), [*command.split(), "--help"])
        assert result.exit_code == 0, command
