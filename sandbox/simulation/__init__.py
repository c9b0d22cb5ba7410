"""
A world that lives on its own: customers write in, agents answer and close, profiles change, customers leave.

May import: `sandbox/world`, `sandbox/timekeeping`.

Doors: `LivingWorld` (living_world.py).
"""
