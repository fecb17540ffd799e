"""Random and written schedules of simulated clusters, against an oracle."""
