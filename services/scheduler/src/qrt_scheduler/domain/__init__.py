"""Rules of jobs, pure: no asyncio, no store, no clock."""
