"""The bus: one small interface, two transports."""
