"""Settings of architectures, one family per file."""
