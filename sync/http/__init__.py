"""
HTTP towards one host: deadlines, retries, credentials, and one error for every failure of the network.

May import: `sync.errors`, `sync.stop`, `sync.printable`; nothing else of this project.

Doors:

* `host`: `Host` makes requests to one host; `Exchange` is a request under way.
* `retry`: `RetryPolicy` says how often, and how long, a failed request is made again.
* `pacer`: `Pacer` keeps the pace of requests, over all threads.
* `credentials`: `BasicCredentials`, or any other `Credentials`, are sent with every request.
* `headers`: `server_date` and `retry_after_s` read what both ends say in their headers.
* `addresses`: `is_loopback`. Importing it imports no HTTP library.

Behind them, `connections` holds the pool of connections to one host.
"""
