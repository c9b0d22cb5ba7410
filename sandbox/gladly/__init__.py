"""
A local Gladly: the part of its REST API that readers of conversations use, answered from a `World`.

What it answers follows Gladly's published API description. Where the description leaves something open, a
comment names the choice made here.

May import: `sandbox/service`, `sandbox/world`, `sandbox/timekeeping`.

Doors: `gladly_app` (app.py); `GladlySettings` (settings.py); the columns of the reports (reports.py).
"""
