"""How a service runs: bus, store, artifacts, settings, lifecycle, health, metrics, logging.

The chassis knows how to deliver, keep and watch; it knows nothing of jobs or programs.
"""
