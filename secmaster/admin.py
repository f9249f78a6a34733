"""Markets and their changes, for looking."""
