from node.overdue import *
