import sys

from edgekd.devices._base import AGENT

# its modules import each other by their own names, as on a device
sys.path.append(str(AGENT))
