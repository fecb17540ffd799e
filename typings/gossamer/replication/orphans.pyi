from node.replication.orphans import *
