"""
Writes the state file: a class for each concern. All use the one connection of a `Store`.

Only `state.store` imports from here. Others reach these classes as its attributes, such as `store.outbox`.
"""
