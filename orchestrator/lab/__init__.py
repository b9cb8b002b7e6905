"""The private Tor network: what a lab is, as data, and how it starts and ends."""
