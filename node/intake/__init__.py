"""Association to instance to study."""
