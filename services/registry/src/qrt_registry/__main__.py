"""`python -m qrt_registry`: one registry replica."""

from qrt_chassis.lifecycle import run_main
from qrt_registry.compose import compose
from qrt_registry.settings import PREFIX, RegistrySettings

if __name__ == "__main__":
    run_main("registry", RegistrySettings, PREFIX, compose)
