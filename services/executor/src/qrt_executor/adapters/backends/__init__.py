"""Where circuits run: one module per kind of backend."""
