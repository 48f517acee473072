"""`python -m gateway`: the gateway, until SIGTERM."""

from chassis.server import main
from gateway.settings import GatewaySettings
from gateway.wiring import build

if __name__ == "__main__":
    main("gateway", GatewaySettings, build, starts_traces=True)
