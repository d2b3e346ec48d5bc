"""What holds for all tests: none passes or fails by the speed of the machine."""

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("racepoll", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("racepoll")
