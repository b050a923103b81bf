"""`python -m qrt_executor`: one executor."""

from qrt_chassis.lifecycle import run_main
from qrt_executor.compose import compose
from qrt_executor.settings import PREFIX, ExecutorSettings

if __name__ == "__main__":
    run_main("executor", ExecutorSettings, PREFIX, compose)
