from node.maintenance.verify import *
