"""Who is asking: HubSpot's users, remembered."""
