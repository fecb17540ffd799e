from node.maintenance.compact import *
