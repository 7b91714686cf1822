"""The embedded default: a small world and the recipes that trained its models."""
