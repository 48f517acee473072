"""`python -m services.cache` serves until told to stop."""

from chassis.server import main
from services.cache.settings import CacheSettings
from services.cache.wiring import build

if __name__ == "__main__":
    main("cache", CacheSettings, build)
