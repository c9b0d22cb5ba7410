"""
Run N idle cycles as they run inside the daemon: in one process, with connections and state file open.

    python -m bench.cycles N

The program prints the wall and CPU seconds of one cycle as JSON.
"""

import json
import sys
import time

from state.store import Store
from sync.runtime.build import build_pipeline
from sync.settings.loading import load
from sync.stop import Stop
from sync.telemetry import log


def main(cycles: int) -> None:
    """Run three cycles to warm up, then measure *cycles* cycles."""
    config = load(None)
    log.configure(config.settings.log)
    with Store(config.state_path) as store, build_pipeline(config, store, Stop()) as pipeline:
        for _ in range(3):
            pipeline.cycle.run()
            pipeline.cycle.tidy()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(cycles):
            result = pipeline.cycle.run()
            pipeline.cycle.tidy()
            assert not result.errors
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sys.stdout.write(json.dumps({"wall_s": wall / cycles, "cpu_s": cpu / cycles}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
