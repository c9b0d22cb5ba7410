"""What the settings' tests share: the least that config.toml must hold, and secrets to look for."""

SECRETS = {"GLADLY_API_TOKEN": "token-canary", "SEGMENT_WRITE_KEY": "key-canary"}
WHO = '[gladly]\norganization = "acme"\nusername = "sync@example.com"\n'
CANARY = "hunter2-canary"
