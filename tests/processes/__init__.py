"""Tests of real processes: ``gossamer serve`` killed, stopped, cut off, copied, and out of space."""
