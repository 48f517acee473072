"""Runs the tokenizer: `python -m services.tokenizer`."""

from chassis.server import main
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.wiring import build

if __name__ == "__main__":
    main("tokenizer", TokenizerSettings, build)
