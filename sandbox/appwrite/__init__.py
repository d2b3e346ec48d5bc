"""A stand-in for the part of Appwrite's REST API that racepoll calls, as versions 1.8.1 and 1.9.6 answer it.

`server.make_server` starts it. `control` holds the routes by which tests switch faults on and see what was requested.
"""
