from node.replication.sweeping import *
