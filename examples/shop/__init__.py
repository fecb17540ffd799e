"""A shop of three services that share their data without a broker. README.md has the tour."""
