"""The app's install by HubSpot's OAuth: on where HUBSPOT_CLIENT_ID is set."""
