"""What a schedule of the set model ends with if a rule does not do what it should."""


class Violation(AssertionError):
    """An invariant does not hold; it begins with the number in ARCHITECTURE.md."""
