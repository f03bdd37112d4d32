"""Response coordinates: networks described by what their layers respond to probe inputs."""
