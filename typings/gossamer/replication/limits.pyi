from node.replication.limits import *
