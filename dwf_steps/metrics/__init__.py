"""How good networks are, and how new."""
