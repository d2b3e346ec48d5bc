"""The simulated racing provider: the TAB affiliates API with a card that a seed and a clock decide."""
