"""Work for the actors of a Ray cluster."""
