"""One client for each system, driven by standard input: see `benchmarks.peers.driven`."""
