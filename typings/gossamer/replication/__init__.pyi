from node.replication import *
