"""Bad input by the million: what decodes bytes of others, and the gRPC surface of a real node."""
