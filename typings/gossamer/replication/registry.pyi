from node.replication.registry import *
