"""Flow matching: probability path, coupling, velocity field, training, integration."""
