from node.replication.freshness import *
