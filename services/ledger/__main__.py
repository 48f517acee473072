"""`python -m services.ledger` serves until told to stop."""

from chassis.server import main
from services.ledger.settings import LedgerSettings
from services.ledger.wiring import build

if __name__ == "__main__":
    main("ledger", LedgerSettings, build)
