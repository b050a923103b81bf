"""Client library of the runtime for hybrid quantum-classical programs."""
