"""`python -m qrt_scheduler`: one scheduler replica."""

from qrt_chassis.lifecycle import run_main
from qrt_scheduler.compose import compose
from qrt_scheduler.settings import PREFIX, SchedulerSettings

if __name__ == "__main__":
    run_main("scheduler", SchedulerSettings, PREFIX, compose)
