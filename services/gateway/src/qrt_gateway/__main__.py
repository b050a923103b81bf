"""`python -m qrt_gateway`: one gateway replica."""

from qrt_chassis.lifecycle import run_main
from qrt_gateway.compose import compose
from qrt_gateway.settings import PREFIX, GatewaySettings

if __name__ == "__main__":
    run_main("gateway", GatewaySettings, PREFIX, compose)
