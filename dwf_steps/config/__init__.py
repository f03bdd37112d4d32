"""The configuration, one module per section; steps import only the sections that they use."""
