"""The configuration: one module a section. Steps import only the sections they use."""
