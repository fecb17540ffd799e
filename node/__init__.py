"""Gossamer: a replicated data store embedded in Python services."""
