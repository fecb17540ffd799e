from node.maintenance.snapshot import *
