"""Formats: networks as safetensors, manifests with digests, the weight matrix as zarr."""
