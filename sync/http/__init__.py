"""
Make HTTP requests to one host, with deadlines, retries and credentials, and one error for every network
failure.

May import: `sync.errors`, `sync.stop`, `sync.printable`; nothing else of this project.

Doors:

* `host`: `Host` makes requests to one host; `Exchange` is a request under way.
* `retry`: `RetryPolicy` says how often, and how long, a failed request is made again.
* `pacer`: `Pacer` keeps the pace of requests, over all threads.
* `credentials`: `BasicCredentials`, `BearerCredentials`, or any other `Credentials`, are sent with every
  request.
* `headers`: `server_date` and `retry_after_s` read the headers of both ends' answers.
* `addresses`: `is_loopback` tells whether a URL names this machine. The file imports no HTTP library.

Behind them, `connections` holds the pool of connections to one host, and `resolver` looks its name up.
"""
