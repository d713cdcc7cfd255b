"""HubSpot's side: proving its requests, reading and answering them, and speaking as it does."""
