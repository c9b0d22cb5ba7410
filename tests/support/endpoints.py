"""The paths of Gladly's and Segment's APIs that tests watch or disturb."""

EVENTS = "/api/v1/events"


PROFILES = "/api/v1/customer-profiles/*"


CONVERSATIONS = "/api/v1/conversations/*"


BATCH = "/v1/batch"
