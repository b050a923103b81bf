"""Rules of the executor: pure, no clock, no I/O."""
