"""What a provider may be asked now: tokens, circuit breaker, throttle, and the incidents that follow."""
