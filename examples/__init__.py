"""Programs that show Gossamer at work."""
