from node.maintenance.portable import *
