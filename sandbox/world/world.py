"""The world as a whole: the team, the customers, the conversations, and the readings of what happened."""

from sandbox.world.conversations import Conversations
from sandbox.world.customers import Customers
from sandbox.world.readings import Readings
from sandbox.world.team import Team


class World(Team, Customers, Conversations, Readings):
    """
    Customers, agents, conversations and the changes recorded about them. Thread-safe.

    One lock is held during every action and every reading. Every action takes `at` and `late_s`:

    * `at`: When it happens; None means now. It may lie in the past, to build old history. The actions on one
      conversation must go forward in time.
    * `late_s`: World seconds until the feed shows the change; None draws them.

    Args:
        clock: The world's time.
        seed: Decides every id, name, delay and coincidence.
        lateness_s: A change appears in the feed 0 to this many world seconds after its timestamp. The delay
            is drawn for each change, so changes can appear out of order. Gladly promises at most 15 seconds.
    """
