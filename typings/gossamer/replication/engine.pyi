from node.replication.engine import *
