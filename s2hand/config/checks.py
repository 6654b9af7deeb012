"""How a configuration refuses a value."""

from s2hand.errors import ConfigurationError


def require(condition: bool, rule: str, **found: object) -> None:  # noqa: FBT001
    """Hold a configuration to a rule.

    Args:
        condition: whether it is kept.
        rule: it, in words that begin with the field.
        found: the values that break it, by field.

    Raises:
        ConfigurationError: if it is not kept.
    """
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in found.items())
        raise ConfigurationError(f"{rule}, got {values}")
