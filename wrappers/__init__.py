"""Every contact with foreign programs and Tor: stem, processes, namespaces, the lab's daemons."""
