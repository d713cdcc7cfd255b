"""Our service: who may see what, asked of the carriers in time, and told to HubSpot."""
