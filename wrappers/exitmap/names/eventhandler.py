"""`eventhandler`: it is there to be imported. Events are the orchestrator's, and no module hears of them."""
