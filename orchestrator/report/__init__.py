"""What was found, told to people and to machines: HTML, e-mail, Prometheus, monitoring plugins. Reads records, decides
nothing."""
