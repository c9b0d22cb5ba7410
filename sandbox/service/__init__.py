"""
What the two services have in common: listening, the middleware around each, faults, and request limits.

This package does not know what either service answers.

May import: `sandbox/timekeeping`.

Doors: `Listener` (listener.py); `ServiceMiddleware` (middleware.py); `RequestLog`, `RequestSeen`
(request_log.py); `Fault`, `Faults` (faults.py); `LeakyBucket` (leaky_bucket.py); `basic_credentials`
(credentials.py).
"""
