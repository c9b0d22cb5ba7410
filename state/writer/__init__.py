"""
What writes the state file: a class for each concern, over the one connection of a `Store`.

Only `state.store` imports from here. Others reach these classes as its attributes, such as `store.outbox`.
"""
