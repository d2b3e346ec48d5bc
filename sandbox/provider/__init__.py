"""The simulated racing provider: the TAB affiliates API with a card that a seed and a clock decide.

`server.make_server` starts it. `control` holds the routes by which tests switch faults on and steer single races.
"""
