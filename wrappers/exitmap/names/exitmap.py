"""`exitmap`: it is there to be imported, by modules that want to know whether they are run by it."""
