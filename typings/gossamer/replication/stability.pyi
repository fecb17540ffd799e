from node.replication.stability import *
