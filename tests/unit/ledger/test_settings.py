"""What the ledger can be told, and what it keeps to itself."""

import pytest

from chassis.settings import SettingsError
from services.ledger.settings import LedgerSettings

PEPPER = "0123456789abcdef"


def test_a_pepper_is_required_and_never_shown() -> None:
    """A key store without one would be worth stealing."""
    with pytest.raises(SettingsError, match="SPENDGATE_KEY_PEPPER"):
        LedgerSettings.from_env({})
    with pytest.raises(SettingsError, match="SPENDGATE_KEY_PEPPER") as caught:
        LedgerSettings.from_env({"SPENDGATE_KEY_PEPPER": "too short"})
    assert "too short" not in str(caught.value.problems)
    settings = LedgerSettings.from_env({"SPENDGATE_KEY_PEPPER": PEPPER})
    assert PEPPER not in str(settings.redacted()) + repr(settings)


def test_only_a_database_it_can_use_is_taken() -> None:
    """Others are refused at the start, not at the first command."""
    for url in ("mysql://host/db", "sqlite://", "ledger.db"):
        with pytest.raises(SettingsError, match="SPENDGATE_DATABASE_URL"):
            LedgerSettings.from_env({"SPENDGATE_KEY_PEPPER": PEPPER, "SPENDGATE_DATABASE_URL": url})
