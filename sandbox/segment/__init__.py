"""
A local Segment: its HTTP Tracking API, what it does with events afterwards, and its Public API.

What it answers follows Segment's documentation of the HTTP API source. Where the documentation leaves
something open, a comment names the choice made here.

May import: `sandbox/service`, `sandbox/world` (records only), `sandbox/timekeeping`.

Doors: `segment_app` (app.py); `public_api_app` (public_api.py); `SegmentSettings`
(settings.py); `Inbox`, which holds what arrived (inbox.py).
"""
