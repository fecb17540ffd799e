"""Customers: who buys what and when, and how their requests are sent and timed."""
