"""How replicas reach each other over gRPC."""
