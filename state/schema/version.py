"""The two numbers in a state file's header, apart from the schema so that reading needs no migrations."""

# "GSSy": marks the file as ours (PRAGMA application_id), so that another program's file is never touched.
APPLICATION_ID = 0x47535379

# PRAGMA user_version: how many migrations `state/schema.py` holds.
SCHEMA_VERSION = 8

# The first version whose file keeps its own counts: an older one is counted by whoever reads it.
COUNTS_SINCE = 8
