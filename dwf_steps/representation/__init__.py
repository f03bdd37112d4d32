"""Networks described by their responses to probe inputs."""
