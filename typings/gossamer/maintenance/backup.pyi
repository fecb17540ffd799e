from node.maintenance.backup import *
