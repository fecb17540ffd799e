from node.replication.replicated import *
