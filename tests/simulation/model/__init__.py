"""The set model: the rules of the replication in plain numbers, without store, wire and clock, fast enough for millions of schedules."""
