"""HTTP under the providers and Appwrite, once: connections, the total deadline, the size cap, and errors by class.

Entries: `json_client.HttpClient` GETs JSON for a provider's adapter; `transport.Transport` is for any other API;
`route.Route` says through which proxy, and which CA is trusted.
"""
